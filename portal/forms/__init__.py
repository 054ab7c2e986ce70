"""Forms: the shape and format of submitted data; the rules are in the domain."""

import re
from typing import Any
from unicodedata import category

from flask_wtf import FlaskForm
from werkzeug.exceptions import BadRequest
from wtforms import EmailField, Field, IntegerField, StringField
from wtforms.validators import Email, ValidationError

LONGEST_EMAIL = 254
NO_EMAIL = "This is not an e-mail address."
DIGITS = re.compile(r"\s*-?[0-9]{1,18}\s*", re.ASCII)  # fits a 64-bit integer


class Form(FlaskForm):
    """A form; `refusal` and `refusal_name` hold the domain's error for well-formed input."""

    refusal: str = ""
    refusal_name: str = ""


class EmailAddress(Email):
    """`Email` with a length limit, since its running time is quadratic in the length."""

    def __call__(self, form: Any, field: Any) -> None:
        """Raise a validation error for invalid addresses."""
        if len(field.data or "") > LONGEST_EMAIL:
            raise ValidationError(NO_EMAIL)
        super().__call__(form, field)


class OneValue(Field):
    """A field that a request may hold once, so that no two readers take different values."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the one value; raise `BadRequest` for several."""
        if len(valuelist) > 1:
            raise BadRequest
        super().process_formdata(valuelist)


class CodeField(OneValue, StringField):
    """A code. Two of them in one request would be two attempts in one."""


class AddressField(OneValue, EmailField):
    """The e-mail address of one person."""


class NameField(OneValue, StringField):
    """The e-mail or the username of one person."""


class WholeNumber(IntegerField):
    """A whole number of up to 18 ASCII digits; larger ones fit neither a column nor a float."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the number; raise `ValueError`, which marks the field, for anything else."""
        super().process_formdata([text if DIGITS.fullmatch(text) else "" for text in valuelist])


def one_line(_form: Form, field: Field) -> None:
    """Reject line breaks, NUL and other control characters."""
    if any(category(character) == "Cc" for character in field.data or ""):
        raise ValidationError("Use one line of plain text.")
