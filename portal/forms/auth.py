"""Forms for registration, sign-in, activation and password reset."""

from wtforms import PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

from portal.forms import NO_EMAIL, AddressField, CodeField, EmailAddress, Form, NameField
from portal.forms.landing import RecipientFields


class SignInForm(Form):
    """A name and a password."""

    identity = NameField(
        "E-mail or username", [InputRequired("Enter your e-mail or username."), Length(max=254)]
    )
    password = PasswordField("Password", [InputRequired("Enter your password.")])


class SignUpForm(Form):
    """A new member."""

    code = CodeField("Invitation code", [Length(max=100)])
    email = AddressField("E-mail", [InputRequired("Enter your e-mail."), EmailAddress(NO_EMAIL)])
    password = PasswordField("Password", [InputRequired("Choose a password."), Length(max=256)])


class IdentityForm(Form):
    """The e-mail or username of somebody waiting for a mail."""

    identity = NameField(
        "E-mail or username", [InputRequired("Enter your e-mail or username."), Length(max=254)]
    )


class ActivationForm(IdentityForm):
    """The mailed code."""

    code = CodeField(
        "Code from the mail", [InputRequired("Enter the code from the mail."), Length(max=100)]
    )


class ResetForm(ActivationForm):
    """The mailed code, and a new password."""

    password = PasswordField("New password", [InputRequired("Choose a password."), Length(max=256)])


class RegisterForm(RecipientFields):
    """A new staff member."""

    email = AddressField("E-mail", [InputRequired("Enter your e-mail."), EmailAddress(NO_EMAIL)])
    username = StringField("Username", [InputRequired("Choose a username."), Length(max=32)])
    password = PasswordField("Password", [InputRequired("Choose a password."), Length(max=256)])
    confirmation = PasswordField(
        "Password again", [EqualTo("password", "The two passwords are not the same.")]
    )
    code = CodeField("Staff invitation code", [Length(max=100)])
