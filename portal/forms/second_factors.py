"""Forms to set up a second factor, and to sign in with it."""

from wtforms import HiddenField, StringField
from wtforms.validators import InputRequired, Length

from portal.forms import Form, one_line

LONGEST_ANSWER = 20_000  # characters of JSON; browsers send a tenth of that


class CodeForm(Form):
    """A code of the authenticator app."""

    code = StringField(
        "Code from the app", [InputRequired("Enter the six digits."), Length(max=32)]
    )


class SecondStepForm(Form):
    """A code of the authenticator app, or a recovery code."""

    code = StringField("Code from your app", [Length(max=32)])
    recovery_code = StringField("Recovery code", [Length(max=32)])


class PasskeyForm(Form):
    """A browser's response to a passkey challenge, as JSON."""

    credential = HiddenField(
        validators=[
            InputRequired("Your browser did not answer."),
            Length(max=LONGEST_ANSWER),
        ]
    )


class NewPasskeyForm(PasskeyForm):
    """A new passkey."""

    name = StringField("Name", [Length(max=80), one_line])
