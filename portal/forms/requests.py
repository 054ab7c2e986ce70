"""Forms for invitation requests, and for decisions on them."""

from wtforms import EmailField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.forms import NO_EMAIL, EmailAddress, Form, one_line


class RequestForm(Form):
    """A request to be invited."""

    name = StringField(
        "Your name", [InputRequired("Tell us your name."), Length(max=120), one_line]
    )
    email = EmailField(
        "Your e-mail", [InputRequired("We send the code there."), EmailAddress(NO_EMAIL)]
    )
    reason = TextAreaField("Why would you like to come?", [Length(max=1000)])


class DecisionForm(Form):
    """The selected requests."""

    ids = SelectMultipleField("Requests", validate_choice=False)
