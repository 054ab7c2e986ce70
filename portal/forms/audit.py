"""The audit search form."""

from wtforms import DateField, HiddenField, SearchField, StringField
from wtforms.validators import UUID, Length, NumberRange, Optional

from portal.forms import Form, WholeNumber

LAST = 2**63 - 1


class TrailForm(Form):
    """The audit search in the URL; no CSRF token, since it changes nothing."""

    class Meta(Form.Meta):  # type: ignore[name-defined]
        """A GET form."""

        csrf = False

    q = SearchField("Search", [Length(max=120)])
    action = StringField("Action", [Length(max=48)])
    actor = StringField("Who", [Length(max=32)])
    since = DateField("From", [Optional()])
    until = DateField("Until", [Optional()])
    subject = HiddenField(validators=[Optional(), UUID()])
    before = WholeNumber(validators=[Optional(), NumberRange(0, LAST)])
    after = WholeNumber(validators=[Optional(), NumberRange(0, LAST)])
