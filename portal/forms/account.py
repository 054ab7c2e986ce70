"""Forms for one's own account."""

from wtforms import BooleanField, PasswordField, SelectField, StringField, TelField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from portal.forms import NO_EMAIL, AddressField, CodeField, EmailAddress, Form, one_line


class ProfileForm(Form):
    """The profile."""

    username = StringField(
        "Username", [InputRequired("Choose a username."), Length(max=32), one_line]
    )
    first_name = StringField("First name", [Length(max=80), one_line])
    last_name = StringField("Last name", [Length(max=80), one_line])
    phone = TelField("Telephone", [Length(max=40), one_line])
    language = SelectField(
        "Language of our mails",
        choices=[SelectChoice("en", "English"), SelectChoice("id", "Bahasa Indonesia")],
    )


class SignOutForm(Form):
    """What to sign out: all browsers and apps, and optionally API tokens."""

    end_tokens = BooleanField("End the API tokens too", default=True)


class PasswordForm(SignOutForm):
    """A new password, with the current one."""

    current_password = PasswordField("Your password now", [InputRequired("Enter your password.")])
    password = PasswordField("New password", [InputRequired("Choose a password."), Length(max=256)])


class NewEmailForm(Form):
    """A new e-mail, to be confirmed by a mail to it."""

    email = AddressField(
        "New e-mail", [InputRequired("Enter your new e-mail."), EmailAddress(NO_EMAIL)]
    )
    current_password = PasswordField("Your password", [InputRequired("Enter your password.")])


class CodeForm(Form):
    """The mailed code."""

    code = CodeField(
        "Code from the mail", [InputRequired("Enter the code from the mail."), Length(max=100)]
    )


class DeletionForm(Form):
    """Deletion of the account."""

    current_password = PasswordField("Your password", [InputRequired("Enter your password.")])
