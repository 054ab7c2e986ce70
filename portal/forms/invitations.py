"""Forms for invitations."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wtforms import (
    BooleanField,
    DateField,
    DateTimeLocalField,
    Field,
    HiddenField,
    RadioField,
    SearchField,
    SelectChoice,
    SelectField,
    StringField,
)
from wtforms.validators import Length, NumberRange, Optional, StopValidation, ValidationError

from portal.forms import CodeField, Form, WholeNumber, one_line
from portal.forms.mailing import LetterFields

A_LONG_TIME = 3650  # days


def within_reach(_form: Form, field: Field) -> None:
    """Reject years that overflow in another time zone or in the database."""
    if field.data and not 2000 <= field.data.year < 3000:
        raise ValidationError("Choose a date nearer to today.")


class NeededWith:
    """Requires a field if another field has this answer, and otherwise ignores it.

    `Optional` would stop the validation of an empty field before checking whether it is required.
    """

    def __init__(self, other: str, answer: str, message: str) -> None:
        self.other, self.answer, self.message = other, answer, message

    def __call__(self, form: Form, field: Field) -> None:
        """Continue with the other validators, or stop."""
        field_is_empty = not any(text.strip() for text in field.raw_data or [])
        if form[self.other].data != self.answer or field_is_empty:
            field.errors = []
            raise StopValidation(self.message if form[self.other].data == self.answer else "")


class _TimedForm(Form):
    """A form with times in the user's zone, which `portal.js` fills in; without it, UTC."""

    zone = HiddenField(validators=[Length(max=64)])

    def moment(self, local: datetime | None) -> datetime | None:
        """Convert a time as typed to UTC."""
        if local is None:
            return None
        return local.replace(tzinfo=self.known_zone).astimezone(UTC)

    @property
    def known_zone(self) -> ZoneInfo:
        """The user's zone; UTC if it is unknown."""
        try:
            return ZoneInfo(self.zone.data or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo("UTC")


class _ValidityForm(_TimedForm):
    validity = RadioField(
        "Valid for",
        choices=[
            SelectChoice("days", "Some days"),
            SelectChoice("date", "Until a date"),
            SelectChoice("never", "No end"),
        ],
        default="days",
    )
    days = WholeNumber(
        "Days",
        [
            NeededWith("validity", "days", "Enter a number of days."),
            NumberRange(1, A_LONG_TIME),
        ],
    )
    ends = DateTimeLocalField(
        "Until", [NeededWith("validity", "date", "Enter a date and time."), within_reach]
    )

    def expires_at(self, now: datetime) -> datetime | None:
        """The expiry; None for never."""
        if self.validity.data == "days":
            return now + timedelta(days=self.days.data or 0)
        return self.moment(self.ends.data) if self.validity.data == "date" else None


class TermsForm(_ValidityForm):
    """The terms of an invitation, or of all invitations of a batch."""

    label = StringField("Label", [Length(max=120), one_line])
    starts = DateTimeLocalField("Opens at", [Optional(), within_reach])
    uses = RadioField(
        "Admits",
        choices=[
            SelectChoice("one", "One device"),
            SelectChoice("several", "Several"),
            SelectChoice("unlimited", "Any number"),
        ],
        default="one",
    )
    max_uses = WholeNumber(
        "How many",
        [
            NeededWith("uses", "several", "Enter how many devices it admits."),
            NumberRange(1, 1_000_000),
        ],
    )

    def chosen_max_uses(self) -> int | None:
        """How many devices may redeem it; None for any number."""
        return {"one": 1, "several": self.max_uses.data}.get(self.uses.data)


class IssueForm(LetterFields, TermsForm):
    """The terms of a new invitation, and the text of its e-mail."""

    recipient = StringField("Bound to", [Length(max=254)])
    recipient_name = StringField("Their name", [Length(max=120), one_line])
    mailed = BooleanField("Send it to that address by e-mail")
    own_code = CodeField("A code of your own", [Length(max=32)])
    grants_role = SelectField("Makes them", validate_choice=True)


class PreviewForm(LetterFields, _ValidityForm):
    """A mail being written: its text, recipient and expiry."""

    recipient = StringField("Bound to", [Length(max=254), one_line])
    recipient_name = StringField("Their name", [Length(max=120), one_line])


class ExtensionForm(_ValidityForm):
    """A new expiry."""


class RevocationForm(Form):
    """Whether to sign out the devices it admitted, too."""

    end_sessions = BooleanField("End their sessions too")


class HistoryForm(Form):
    """The history query in the URL; no CSRF token, since it changes nothing."""

    class Meta(Form.Meta):  # type: ignore[name-defined]
        """A GET form."""

        csrf = False

    q = SearchField("Search", [Length(max=120)])
    status = SelectField("State")
    since = DateField("Issued from", [Optional()])
    until = DateField("Issued until", [Optional()])
    sort = SelectField("Sort by")
    size = SelectField("Rows", coerce=int)
    cursor = HiddenField(validators=[Length(max=1000)])
