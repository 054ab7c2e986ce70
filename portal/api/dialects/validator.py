"""Validation as in the former okami service, with the messages of its validator.

That is https://github.com/go-playground/validator: for each field the first tag that fails, with
the fields in their order.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import request

from portal.domain.accounts import emails
from portal.domain.errors import BadInput, InvalidEmail

UUID4 = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
SHORTEST, LONGEST = 8, 20  # characters of a password


@dataclass(frozen=True)
class Field:
    """A form field: its name in JSON and in Go, and the tags it has to satisfy in turn."""

    name: str
    title: str
    tags: tuple[str, ...]


EMAIL = Field("email", "Email", ("required", "max", "email"))
NEW_PASSWORD = Field("password", "Password", ("required", "min", "max", "password"))
PASSWORD = Field("password", "Password", ("required",))
INVITATION = Field("invitation_code", "InvitationCode", ())
CLIENT = Field("uuid", "UUID", ("required", "uuid4_rfc4122"))


class Invalid(BadInput):
    """Fields that do not fit."""


def texts(form: str, *fields: Field) -> dict[str, str]:
    """The string fields of the JSON body by name; others count as missing. Raises `Invalid`."""
    sent = request.get_json(silent=True) if request.is_json else None
    found = {field.name: _text(sent, field.name) for field in fields}
    failed = [(field, tag) for field in fields if (tag := _failed(field, found[field.name]))]
    if failed:
        raise Invalid("\n".join(message(form, field, tag) for field, tag in failed))
    return found


def message(form: str, field: Field, tag: str) -> str:
    """The validator's message for a field that failed on a tag."""
    place = f"Key: '{form}.{field.title}' Error:"
    return f"{place}Field validation for '{field.title}' failed on the '{tag}' tag"


def _text(sent: object, name: str) -> str:
    value = sent.get(name) if isinstance(sent, Mapping) else None
    return value if isinstance(value, str) else ""


def _failed(field: Field, value: str) -> str | None:
    longest = emails.LONGEST if field is EMAIL else LONGEST
    checks: dict[str, Callable[[str], bool]] = {
        "required": bool,
        "min": lambda text: len(text) >= SHORTEST,
        "max": lambda text: len(text) <= longest,
        "email": _is_email,
        "password": _is_mixed,
        "uuid4_rfc4122": lambda text: bool(UUID4.fullmatch(text)),
    }
    return next((tag for tag in field.tags if not checks[tag](value)), None)


def _is_email(text: str) -> bool:
    try:
        emails.normalise(text)
    except InvalidEmail:
        return False
    return True


def _is_mixed(text: str) -> bool:
    """Whether it has an upper and a lower case letter, a digit, and something else."""
    kinds = (str.isupper, str.islower, str.isdigit, _is_special)
    return all(any(map(is_kind, text)) for is_kind in kinds)


def _is_special(character: str) -> bool:
    return not character.isalnum() and not character.isspace()
