"""What people send to set up a second step, and to take it."""

from wtforms import HiddenField, StringField
from wtforms.validators import InputRequired, Length

from portal.forms import Form, one_line

LONGEST_ANSWER = 20_000  # characters of JSON; browsers' answers are a tenth of it


class CodeForm(Form):
    """A code that an app shows."""

    code = StringField(
        "Code from the app", [InputRequired("Enter the six digits."), Length(max=32)]
    )


class SecondStepForm(Form):
    """A code that an app shows, or else a recovery code."""

    code = StringField("Code from your app", [Length(max=32)])
    recovery_code = StringField("Recovery code", [Length(max=32)])


class PasskeyForm(Form):
    """A browser's answer to a question about a passkey, as JSON."""

    credential = HiddenField(
        validators=[
            InputRequired("Your browser did not answer."),
            Length(max=LONGEST_ANSWER),
        ]
    )


class NewPasskeyForm(PasskeyForm):
    """A new passkey."""

    name = StringField("Name", [Length(max=80), one_line])
