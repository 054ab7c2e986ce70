"""Import forms."""

from typing import Any

from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import Length, NumberRange, Optional, ValidationError

from portal.forms import Form, WholeNumber, one_line
from portal.forms.invitations import TermsForm
from portal.forms.mailing import MailingForm


class ImportForm(MailingForm, TermsForm):
    """A file or a list of addresses, and the default terms of its rows."""

    file = FileField("A file")
    pasted = TextAreaField("Or addresses", [Length(max=500_000)])
    name = StringField("Name", [Length(max=120), one_line])

    def validate_pasted(self, field: Any) -> None:
        """Require exactly one of file and list."""
        pasted = bool((field.data or "").strip())
        if pasted == bool(self.file.data):
            raise ValidationError("Choose a file, or else paste addresses.")


class PreviewForm(Form):
    """The rows of a preview to show, from the URL."""

    class Meta(Form.Meta):  # type: ignore[name-defined]
        """A GET form."""

        csrf = False

    show = SelectField("Rows", [Optional()])
    after = WholeNumber("After line", [Optional(), NumberRange(0, 2**31 - 1)])


class ConfirmationForm(Form):
    """Whether to invite people who already hold an invitation again."""

    again = BooleanField("Invite those again who were invited before")
