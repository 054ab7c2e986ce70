"""The shape and format of what people send; the rules are in the domain."""

import re
from typing import Any
from unicodedata import category

from flask_wtf import FlaskForm
from werkzeug.exceptions import BadRequest
from wtforms import EmailField, Field, IntegerField, StringField
from wtforms.validators import Email, ValidationError

LONGEST_EMAIL = 254
NO_EMAIL = "This is not an e-mail address."
DIGITS = re.compile(r"\s*-?[0-9]{1,18}\s*", re.ASCII)  # what a 64-bit integer can hold


class Form(FlaskForm):
    """A form; `refusal` is what the domain said to input that was well formed, and its name."""

    refusal: str = ""
    refusal_name: str = ""


class EmailAddress(Email):
    """`Email`, for no more than an address can have: its work grows with the square of it."""

    def __call__(self, form: Any, field: Any) -> None:
        """Refuse what is no address."""
        if len(field.data or "") > LONGEST_EMAIL:
            raise ValidationError(NO_EMAIL)
        super().__call__(form, field)


class OneValue(Field):
    """A field that may stand in a request once, so that no two readers take different values."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the one value; raise `BadRequest` for several."""
        if len(valuelist) > 1:
            raise BadRequest
        super().process_formdata(valuelist)


class CodeField(OneValue, StringField):
    """A code. Two of them in one request would be two tries in one."""


class AddressField(OneValue, EmailField):
    """The e-mail address of one person."""


class NameField(OneValue, StringField):
    """The e-mail or the username of one person."""


class WholeNumber(IntegerField):
    """A whole number of up to 18 ASCII digits: larger ones fit into neither column nor float."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the number; raise `ValueError`, which marks the field, for anything else."""
        super().process_formdata([text if DIGITS.fullmatch(text) else "" for text in valuelist])


def one_line(_form: Form, field: Field) -> None:
    """Refuse what nobody types into a field: line breaks, NUL and other control characters."""
    if any(category(character) == "Cc" for character in field.data or ""):
        raise ValidationError("Use one line of plain text.")
