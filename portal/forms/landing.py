"""Forms for invitees."""

from wtforms import EmailField, HiddenField
from wtforms.validators import InputRequired, Length, Optional

from portal.forms import NO_EMAIL, CodeField, EmailAddress, Form


class RecipientFields(Form):
    """Evidence for a personal invitation: a mailed code, or the proof of a mailed link."""

    mailed_code = CodeField("Code from the mail", [Length(max=100)])
    proof = HiddenField(validators=[Length(max=100)])


class RedeemForm(RecipientFields):
    """A code, and for a personal one the address it was issued to."""

    code = CodeField("Invitation code", [InputRequired("Enter your code."), Length(max=100)])
    email = EmailField("Your e-mail", [Optional(), EmailAddress(NO_EMAIL)])


class ValidationForm(RecipientFields):
    """A code as it is being typed, in any state."""

    code = CodeField("Invitation code", [Length(max=100)])
    email = EmailField("Your e-mail")
