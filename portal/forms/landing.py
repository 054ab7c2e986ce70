"""What invitees send."""

from wtforms import EmailField
from wtforms.validators import InputRequired, Length, Optional

from portal.forms import NO_EMAIL, CodeField, EmailAddress, Form


class RedeemForm(Form):
    """A code, and for a personal one the address it was made for."""

    code = CodeField("Invitation code", [InputRequired("Enter your code."), Length(max=100)])
    email = EmailField("Your e-mail", [Optional(), EmailAddress(NO_EMAIL)])


class ValidationForm(Form):
    """A code while it is being typed: whatever stands in the field."""

    code = CodeField("Invitation code", [Length(max=100)])
    email = EmailField("Your e-mail")
