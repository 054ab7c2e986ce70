"""The API token form."""

from wtforms import SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.forms import Form, WholeNumber, one_line


class TokenForm(Form):
    """A new API token."""

    name = StringField("Name", [InputRequired("Name the program."), Length(max=80), one_line])
    scope = SelectField(
        "May",
        choices=[
            SelectChoice("read", "read the history"),
            SelectChoice("issue", "read, and issue codes"),
            SelectChoice("manage", "read, issue, revoke and extend"),
            SelectChoice("sign-in", "sign people in to an app, nothing else"),
        ],
    )
    days = WholeNumber("Valid for days", [Optional(), NumberRange(1, 3650)])
