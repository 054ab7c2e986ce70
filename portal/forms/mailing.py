"""Mail forms: the text of a mail, and the sending options of a batch."""

from unicodedata import category

from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms import validators as must
from wtforms.validators import Length, NumberRange, Optional, ValidationError

from portal.forms import Form, WholeNumber, one_line


def plain_text(_form: Form, field: Field) -> None:
    """Reject control characters, except line endings."""
    if any(category(c) == "Cc" and c not in "\r\n\t" for c in field.data or ""):
        raise ValidationError("Use plain text.")


class LetterFields:
    """The text of a mail, as a mixin; empty fields use the portal's own text."""

    language = SelectField(
        "Language of the mail",
        choices=[SelectChoice("en", "English"), SelectChoice("id", "Bahasa Indonesia")],
    )
    subject = StringField("Subject", [Length(max=200), one_line])
    message = TextAreaField("Message", [Length(max=5000), plain_text])


class MailListForm(Form):
    """The state and page of the outbox to show."""

    class Meta(Form.Meta):  # type: ignore[name-defined]
        """A GET form."""

        csrf = False

    state = SelectField(
        "State",
        choices=[
            SelectChoice("", "Any state"),
            SelectChoice("waiting", "Waiting"),
            SelectChoice("sent", "Sent"),
            SelectChoice("failed", "Failed"),
        ],
        default="",
    )
    batch = HiddenField(validators=[Optional(), must.UUID()])
    before = HiddenField(validators=[Optional(), must.UUID()])


class MailingForm(LetterFields):
    """The mailing options of a new batch, as a mixin."""

    mailed = BooleanField("Send each invitation to its address by e-mail")
    reminder_days = WholeNumber(
        "Remind those who have not come, days before the end", [Optional(), NumberRange(1, 60)]
    )
