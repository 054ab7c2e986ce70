"""What invitees send."""

from wtforms import EmailField, HiddenField
from wtforms.validators import InputRequired, Length, Optional

from portal.forms import NO_EMAIL, CodeField, EmailAddress, Form


class RecipientFields(Form):
    """What shows whom a personal invitation is for: a mailed code, or what a mailed link holds."""

    mailed_code = CodeField("Code from the mail", [Length(max=100)])
    proof = HiddenField(validators=[Length(max=100)])


class RedeemForm(RecipientFields):
    """A code, and for a personal one the address it was made for."""

    code = CodeField("Invitation code", [InputRequired("Enter your code."), Length(max=100)])
    email = EmailField("Your e-mail", [Optional(), EmailAddress(NO_EMAIL)])


class ValidationForm(RecipientFields):
    """A code while it is being typed: whatever stands in the field."""

    code = CodeField("Invitation code", [Length(max=100)])
    email = EmailField("Your e-mail")
