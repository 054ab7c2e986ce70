"""Forms for batches, and for selected invitations."""

from uuid import UUID

from wtforms import HiddenField, SelectMultipleField, StringField
from wtforms import validators as must
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.forms import Form, WholeNumber, one_line
from portal.forms.invitations import ExtensionForm, TermsForm


class BatchForm(TermsForm):
    """The name, size and terms of a new batch.

    `key` becomes its id, so that submitting the form twice issues once.
    """

    key = HiddenField(validators=[InputRequired(), must.UUID()])
    name = StringField("Name", [InputRequired("Name the batch."), Length(max=120), one_line])
    size = WholeNumber(
        "How many codes", [InputRequired("Enter how many codes you need."), NumberRange(1)]
    )


class BatchListForm(Form):
    """The page of the batch list."""

    class Meta(Form.Meta):  # type: ignore[name-defined]
        """A GET form."""

        csrf = False

    before = HiddenField(validators=[Optional(), must.UUID()])


class CardsForm(Form):
    """The invitation after which the cards continue."""

    after = HiddenField(validators=[Optional(), must.UUID()])


class SelectionForm(Form):
    """Invitations selected in a list; no list shows more than a hundred."""

    invitation = SelectMultipleField(
        coerce=UUID, validate_choice=False, validators=[Length(max=100)]
    )


class SelectionExtensionForm(SelectionForm, ExtensionForm):
    """A new expiry for the selected invitations."""
