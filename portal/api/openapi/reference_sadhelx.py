"""The reference of the dialect sadhelx, operation by operation."""

from typing import Annotated, Any

from pydantic import Field

from portal.api.dialects import sadhelx, schemas
from portal.api.openapi.operations import Dialect, Operation
from portal.api.openapi.reference import locked, weak
from portal.api.openapi.reference_dialects import JSON, JWT, WRONG
from portal.api.openapi.responses import TEXT, Schema, plain, record
from portal.domain import errors

DIGITS: Schema = {"type": "string", "pattern": "^[0-9]+$"}
BINARY: Schema = {"type": "string", "format": "binary"}
PERSON, PASSWORD = "someemail@email.com", "somepassword"

SADHELX = Dialect(
    "sadhelx", sadhelx.VOICE, "SadhelxProblem", record(status={"const": False}, msg=TEXT)
)
TOKENS = record(token_access=TEXT, token_refresh=TEXT)
TOKENS_EXAMPLE = {"token_access": JWT, "token_refresh": JWT}
WITH_CODE = {"identity": PERSON, "code": "ASDF2345"}
CODE_REFUSED = (errors.BadInput, errors.VerificationRefused, locked)


class AvatarUpload(schemas.Body):
    """A picture: PNG, JPEG or WebP of up to 5 MB."""

    identity: schemas.Text
    avatar: Annotated[str, Field(json_schema_extra={"format": "binary"})]


def sadhelx_success(
    message: str, data: Schema | None = None, example: Any = None, status: int = 200
) -> dict[int, Any]:
    """A success in the envelope of the sadhelx dialect."""
    fields: dict[str, Schema] = {"status": {"const": True}, "msg": {"const": message}}
    body: dict[str, Any] = {"status": True, "msg": message}
    if data:
        fields, body = fields | {"data": data}, body | {"data": example}
    return {status: (JSON, record(**fields), body)}


def _sadhelx(method: str, path: str, view: str, **about: Any) -> Operation:
    return Operation(method, f"/usermgmt{path}", f"sadhelx.{view}", dialect=SADHELX, **about)


def _both(method: str, paths: tuple[str, str], view: str, **about: Any) -> tuple[Operation, ...]:
    """An operation that the document lists under two paths."""
    first, second = paths
    return (
        _sadhelx(method, first, view, **about),
        _sadhelx(method, second, view, alias="_too", **about),
    )


OPERATIONS = (
    _sadhelx(
        "get",
        "/check-username/{username}",
        "check_username",
        answers=sadhelx_success("User available"),
        refusals=(errors.BadInput, errors.AccountTaken, locked),
    ),
    _sadhelx(
        "get",
        "/check-email/{email}",
        "check_email",
        answers=sadhelx_success("Email available"),
        refusals=(errors.InvalidEmail, errors.EmailTaken, locked),
    ),
    _sadhelx(
        "post",
        "/signup",
        "signup",
        answers=sadhelx_success("Success creating user", status=201),
        body=schemas.SignUp,
        sends={
            "username": "username4",
            "email": "email4@gmail.com",
            "firstname": "this firsname",
            "lastname": "this lastname",
            "password": PASSWORD,
            "phonenumber": "008070898742",
        },
        refusals=(
            errors.BadInput,
            errors.InvalidEmail,
            weak,
            errors.AccountTaken,
            errors.EmailTaken,
            errors.RegistrationClosed,
            errors.AskedTooOften,
            errors.CodeRefused,
            locked,
        ),
    ),
    _sadhelx(
        "post",
        "/login",
        "login",
        answers=sadhelx_success(
            "Login successfull",
            record(user=record(user_id=DIGITS, username=TEXT, email=TEXT), token=TOKENS),
            {
                "user": {
                    "user_id": "123414134",
                    "username": "usersadhelx1",
                    "email": "usersadhelx1@gmail.com",
                },
                "token": TOKENS_EXAMPLE,
            },
        ),
        body=schemas.IdentityAndPassword,
        sends={"identity": PERSON, "password": PASSWORD},
        refusals=(errors.BadInput, *WRONG),
    ),
    _sadhelx(
        "post",
        "/refresh-token",
        "refresh_token",
        answers=sadhelx_success(
            "Access token successfull generated", record(token=TOKENS), {"token": TOKENS_EXAMPLE}
        ),
        security=({"sadhelxRefresh": []},),
        body=schemas.Identity,
        sends={"identity": PERSON},
        refusals=(errors.BadInput, errors.SignInRequired),
    ),
    _sadhelx(
        "post",
        "/get-password-reset-code",
        "request_reset",
        answers=sadhelx_success("Password reset code has been sent to email"),
        body=schemas.Identity,
        sends={"identity": PERSON},
        refusals=(errors.BadInput, errors.AskedTooOften),
    ),
    _sadhelx(
        "post",
        "/verify/password-reset",
        "verify_reset",
        answers=sadhelx_success(
            "Password reset code verified", record(code=TEXT), {"code": "CKTO2345"}
        ),
        body=schemas.IdentityAndCode,
        sends=WITH_CODE,
        refusals=CODE_REFUSED,
    ),
    *_both(
        "post",
        ("/verify/mail", "/verify/email"),
        "verify_email",
        answers=sadhelx_success("User email verified"),
        body=schemas.IdentityAndCode,
        sends=WITH_CODE,
        refusals=CODE_REFUSED,
    ),
    *_both(
        "put",
        ("/reset-password", "/password-reset"),
        "reset_password",
        answers=sadhelx_success("Password has been updated"),
        body=schemas.NewPassword,
        sends={
            "identity": "purnasatria@gmail.com",
            "password": "passwordbaru",
            "password_re": "passwordbaru",
            "code": "CKTO2345",
        },
        refusals=(*CODE_REFUSED, errors.PasswordsDiffer, weak),
    ),
    _sadhelx(
        "put",
        "/avatar-upload",
        "upload_avatar",
        answers=sadhelx_success(
            "Avatar has been saved",
            record(image_file=TEXT),
            {"image_file": f"{'0' * 64}.webp"},
            status=201,
        ),
        security=({"sadhelxAccess": []},),
        body=AvatarUpload,
        body_type="multipart/form-data",
        sends={"identity": "purnasatria@gmail.com", "avatar": "image file"},
        refusals=(
            errors.SignInRequired,
            errors.BadInput,
            errors.PictureRefused,
            errors.TooManyUploads,
            errors.DecodersBusy,
        ),
    ),
    _sadhelx(
        "get",
        "/avatar-storage/{image_file}",
        "show_avatar",
        answers=plain("image/webp", BINARY),
        refusals=(errors.NotFound,),
    ),
)
