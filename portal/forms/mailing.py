"""What staff send about mails: the words of one, and how those of a batch go out."""

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
    """Refuse control characters, but for what ends a line."""
    if any(category(c) == "Cc" and c not in "\r\n\t" for c in field.data or ""):
        raise ValidationError("Use plain text.")


class LetterFields:
    """The words of a mail, to be mixed into a form. Empty: the portal's own."""

    language = SelectField(
        "Language of the mail",
        choices=[SelectChoice("en", "English"), SelectChoice("id", "Bahasa Indonesia")],
    )
    subject = StringField("Subject", [Length(max=200), one_line])
    message = TextAreaField("Message", [Length(max=5000), plain_text])


class MailListForm(Form):
    """Which mails of the outbox, and which page of them."""

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
    """The mails of a batch, to be mixed into a form that makes one."""

    mailed = BooleanField("Send each invitation to its address by e-mail")
    reminder_days = WholeNumber(
        "Remind those who have not come, days before the end", [Optional(), NumberRange(1, 60)]
    )
