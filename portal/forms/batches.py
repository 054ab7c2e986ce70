"""What staff send about batches, and about invitations they chose by hand."""

from uuid import UUID

from wtforms import HiddenField, SelectMultipleField, StringField
from wtforms import validators as must
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.forms import Form, WholeNumber, one_line
from portal.forms.invitations import ExtensionForm, TermsForm


class BatchForm(TermsForm):
    """The name, the size and the terms of a new batch.

    `key` becomes its id, so that a form that is sent twice issues once.
    """

    key = HiddenField(validators=[InputRequired(), must.UUID()])
    name = StringField("Name", [InputRequired("Name the batch."), Length(max=120), one_line])
    size = WholeNumber(
        "How many codes", [InputRequired("Enter how many codes you need."), NumberRange(1)]
    )


class BatchListForm(Form):
    """Which page of the batches."""

    class Meta(Form.Meta):  # type: ignore[name-defined]
        """A GET form."""

        csrf = False

    before = HiddenField(validators=[Optional(), must.UUID()])


class CardsForm(Form):
    """After which invitation the cards go on."""

    after = HiddenField(validators=[Optional(), must.UUID()])


class SelectionForm(Form):
    """Invitations ticked in a list; no list shows more than a hundred."""

    invitation = SelectMultipleField(
        coerce=UUID, validate_choice=False, validators=[Length(max=100)]
    )


class SelectionExtensionForm(SelectionForm, ExtensionForm):
    """A new end for those that are ticked."""
