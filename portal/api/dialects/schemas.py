"""JSON schemas of request bodies and queries: shape only. Input that does not fit is `BadInput`."""

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from flask import request
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from portal.domain.errors import BadInput


def _digits(value: object) -> object:
    """In a query `5` is a number; `5.0`, `1_000` and ` 5` are not."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("not a whole number")
    return value


def _within_reach(moment: datetime) -> datetime:
    """Reject years that overflow in another time zone or in the database."""
    if not 2000 <= moment.year < 3000:
        raise ValueError("out of reach")
    return moment.astimezone(UTC)


Text = Annotated[str, Field(min_length=1, max_length=254)]
Password = Annotated[str, Field(min_length=1, max_length=1024)]
# No line breaks, NUL or other control characters in labels.
Label = Annotated[str, Field(max_length=120, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Line = Annotated[str, Field(max_length=100)]
Moment = Annotated[AwareDatetime, Field(strict=False), AfterValidator(_within_reach)]
WHOLE = BeforeValidator(_digits)
Model = TypeVar("Model", bound="Body")


class Body(BaseModel):
    """A JSON object. Types are converted only in a query: a number is not a name."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Registration(Body):
    """A new admin."""

    username: Text
    email: Text
    password: Password
    confirm_password: Password
    invitation_code: Line | None = None
    mailed_code: Line | None = None
    proof: Line | None = None


class Credentials(Body):
    """An admin's e-mail and password."""

    email: Text
    password: Password


class Login(Body):
    """A name (username or e-mail) and a password, as the mobile dialect has them."""

    username: Text
    password: Password


class SignUp(Body):
    """A new member, as the sadhelx dialect has it."""

    username: Text
    email: Text
    password: Password
    firstname: Line | None = None
    lastname: Line | None = None
    phonenumber: Line | None = None
    invitation_code: Annotated[str, Field(max_length=100)] | None = None


class Identity(Body):
    """An e-mail or a username."""

    identity: Text


class IdentityAndPassword(Identity):
    """Whoever signs in."""

    password: Password


class IdentityAndCode(Identity):
    """Whoever was mailed a code, and the code."""

    code: Annotated[str, Field(min_length=1, max_length=100)]


class NewPassword(IdentityAndCode):
    """A new password, twice, with the code that the mailed one was exchanged for."""

    password: Password
    password_re: Password


class Options(Body):
    """The terms of a new invitation, from a JSON body or from the query."""

    label: Label = ""
    max_uses: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = 1
    expires_in_days: Annotated[int, Field(ge=1, le=3650), WHOLE] | None = None


class HistoryView(Body):
    """Which page of the history, and which invitations."""

    page: Annotated[int, Field(ge=1, le=2**31), WHOLE] = 1
    size: Annotated[int, Field(ge=1, le=100), WHOLE] = 5
    status: Literal["active", "in_active", "used"] | None = None
    q: Annotated[str, Field(max_length=120)] = ""
    cursor: Annotated[str, Field(max_length=1000)] | None = None


class Revocation(Body):
    """Whether those it let in are to leave."""

    end_sessions: bool = False


class Extension(Body):
    """A new end: days from now, or a moment, or neither for no end."""

    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    expires_at: Moment | None = None


class Redeeming(Body):
    """For an invitation bound to an address: whose it is, and what shows that.

    That is the code which the first request without it mails there, or the `proof` in the address
    of an invitation mail.
    """

    email: Annotated[str, Field(max_length=254)] | None = None
    mailed_code: Line | None = None
    proof: Line | None = None


def body(model: type[Model], *, optional: bool = False) -> Model:
    """Parse the JSON body as `model`; if `optional`, an empty body is valid."""
    if optional and not has_body():
        return _fit(model, {})
    if not request.is_json:
        raise BadInput
    return _fit(model, request.get_json(silent=True))


def has_body() -> bool:
    """Whether the request has a body."""
    is_empty = request.content_length == 0  # most requests say so, and need no read
    return not is_empty and bool(request.get_data())


def query(model: type[Model]) -> Model:
    """Parse the query string as `model`; a repeated parameter is an error."""
    given = {}
    for name, values in request.args.lists():
        if len(values) > 1:
            raise BadInput
        given[name] = values[0]
    return _fit(model, given, strict=False)


def _fit(model: type[Model], data: object, *, strict: bool | None = None) -> Model:
    try:
        return model.model_validate(data, strict=strict)
    except ValidationError as error:
        raise BadInput from error
