"""What staff send about imports."""

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
    """A file or a list of addresses, and the terms of rows that say nothing else."""

    file = FileField("A file")
    pasted = TextAreaField("Or addresses", [Length(max=500_000)])
    name = StringField("Name", [Length(max=120), one_line])

    def validate_pasted(self, field: Any) -> None:
        """Refuse neither, and both."""
        pasted = bool((field.data or "").strip())
        if pasted == bool(self.file.data):
            raise ValidationError("Choose a file, or else paste addresses.")


class PreviewForm(Form):
    """Which rows of a preview are shown, as it stands in the URL."""

    class Meta(Form.Meta):  # type: ignore[name-defined]
        """A GET form."""

        csrf = False

    show = SelectField("Rows", [Optional()])
    after = WholeNumber("After line", [Optional(), NumberRange(0, 2**31 - 1)])


class ConfirmationForm(Form):
    """Whether those who hold an invitation get another one."""

    again = BooleanField("Invite those again who were invited before")
