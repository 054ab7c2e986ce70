"""The reference of the dialects kursus, mobile and okami, operation by operation."""

from typing import Annotated, Any

from pydantic import EmailStr, Field

from portal.api.dialects import kursus, mobile, okami, schemas, validator
from portal.api.openapi.operations import INVITATIONS, Dialect, Operation
from portal.api.openapi.reference import locked, weak
from portal.api.openapi.responses import NOTHING, TEXT, TIME, UUID, Schema, plain, record, rows_of
from portal.domain import errors
from portal.models import Scope

JSON = "application/json"
SECONDS: Schema = {"type": "integer"}
FLAG: Schema = {"enum": [0, 1]}
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJVc2VySUQiOjMyMTg4Mzg2NDZ9.c2lnbmF0dXJl"
CLIENT = "e074c717-de06-4ad0-a50f-94de7b19de0a"

OKAMI_STATUS = record(success={"type": "boolean"}, code=TEXT, message=TEXT, detail={})
OKAMI_STATUS["properties"]["detail"] = {"type": ["array", "null"], "items": TEXT}

KURSUS = Dialect(
    "kursus",
    kursus.VOICE,
    "KursusProblem",
    record(status={"const": False}, message=TEXT, error_code={"const": "ERR"}),
)
MOBILE = Dialect(
    "mobile",
    mobile.VOICE,
    "MobileProblem",
    record(timestamp=TIME, status={"const": 0}, message=TEXT),
)
OKAMI = Dialect(
    "okami",
    okami.VOICE,
    "OkamiProblem",
    record(timestamp=SECONDS, status=OKAMI_STATUS, Data=NOTHING),
)
DIALECTS = (KURSUS, MOBILE, OKAMI)


class OkamiRegistration(schemas.Body):
    """A new account: the password has an upper, a lower, a digit and a special character."""

    email: EmailStr
    password: Annotated[str, Field(min_length=validator.SHORTEST, max_length=validator.LONGEST)]
    invitation_code: Annotated[str, Field(max_length=100)] = ""


class OkamiClient(schemas.Body):
    """What a client calls itself."""

    uuid: Annotated[str, Field(pattern=f"^{validator.UUID4.pattern}$")]


class OkamiCredentials(schemas.Body):
    """Who signs in."""

    email: EmailStr
    password: schemas.Password


def header(name: str, description: str, example: str) -> Schema:
    """A required header."""
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "pattern": "^[!-~]+$"},
        "example": example,
    }


def optional(parameter: Schema) -> Schema:
    """The same header, as optional."""
    return parameter | {"required": False}


def failed(form: str, field: validator.Field, tag: str) -> errors.PortalError:
    """A field that does not validate."""
    return validator.Invalid(validator.message(form, field, tag))


APP = header("mobile-app", "The app names itself.", mobile.APP)
DEVICE = header("device-id", "How the device names itself; one device at a time.", "phone-1")
SECRET = header(okami.SECRET, "As step 1 answered it.", JWT)
GIVES_SECRET = {okami.SECRET: {"schema": TEXT, "description": "For the next step."}}


def mobile_success(**more: Schema) -> Schema:
    """A success in the envelope of the mobile dialect."""
    return record(timestamp=TIME, status={"const": 1}, message={"const": "SUCCESS"}, **more)


MOBILE_SUCCESS = {"timestamp": "2024-07-16T06:44:47.855Z", "status": 1, "message": "SUCCESS"}


def okami_success(data: Schema, example: Any, message: str = "") -> dict[int, Any]:
    """A success in the envelope of the okami dialect."""
    schema = record(timestamp=SECONDS, status=OKAMI_STATUS, Data=data)
    status = {"success": True, "code": "", "message": message, "detail": None}
    body = {"timestamp": 1672296996, "status": status, "Data": example}
    return {200: (JSON, schema, body)}


WRONG = (errors.InvalidCredentials, errors.AccountDeactivated, errors.EmailUnconfirmed, locked)
JWK = record(kty=TEXT, use=TEXT, alg=TEXT, kid=TEXT, n=TEXT, e=TEXT)

OPERATIONS = (
    Operation(
        "get",
        "/.well-known/jwks.json",
        "keys.public_keys",
        plain(JSON, record(keys=rows_of(JWK))),
        dialect=INVITATIONS,
    ),
    Operation(
        "post",
        "/v1/login",
        "kursus.login",
        plain(
            JSON,
            record(
                status={"const": True},
                data=record(token=TEXT, type={"const": "internal"}, expired_at=TIME),
            ),
            {
                "status": True,
                "data": {
                    "token": JWT,
                    "type": "internal",
                    "expired_at": "2023-06-01T01:53:48.524466Z",
                },
            },
        ),
        dialect=KURSUS,
        body=schemas.Credentials,
        sends={"email": "febry@gmail.com", "password": "makcik"},
        refusals=(errors.BadInput, *WRONG),
    ),
    Operation(
        "post",
        "/mobile/login",
        "mobile.login",
        plain(
            JSON,
            mobile_success(name=TEXT, token=TEXT),
            MOBILE_SUCCESS | {"name": "name", "token": JWT},
        ),
        dialect=MOBILE,
        scope=Scope.SIGN_IN,
        security=({"mobileToken": []},),
        headers=(APP, optional(DEVICE)),
        body=schemas.Login,
        sends={"username": "username", "password": "password"},
        refusals=(
            errors.TokenMissing,
            errors.UnknownToken,
            errors.SignInRequired,
            errors.NotAllowed,
            errors.BadInput,
            errors.InvalidCredentials,
            errors.AccountDeactivated,
            errors.EmailUnconfirmed,
            errors.TooManyFailures,
            errors.SignedInElsewhere,
        ),
    ),
    Operation(
        "post",
        "/mobile/logout",
        "mobile.logout",
        plain(JSON, mobile_success(), MOBILE_SUCCESS),
        dialect=MOBILE,
        security=({"mobileToken": []},),
        headers=(APP,),
        refusals=(errors.TokenMissing, errors.SignInRequired, errors.NotAllowed),
    ),
    Operation(
        "post",
        "/okami/auth/registration",
        "okami.register",
        okami_success(NOTHING, None, "Please check your mailbox"),
        dialect=OKAMI,
        body=OkamiRegistration,
        sends={"email": "test@gmail.com", "password": "@Testing1"},
        refusals=(
            lambda: failed("RegistrationForm", validator.EMAIL, "required"),
            lambda: failed("RegistrationForm", validator.EMAIL, "email"),
            lambda: failed("RegistrationForm", validator.NEW_PASSWORD, "min"),
            weak,
            errors.RegistrationClosed,
            errors.CodeRefused,
            locked,
        ),
    ),
    Operation(
        "post",
        "/okami/auth/sign/in/step1",
        "okami.step1",
        okami_success(NOTHING, None),
        dialect=OKAMI,
        body=OkamiClient,
        sends={"uuid": CLIENT},
        gives=GIVES_SECRET,
        refusals=(lambda: failed("Step1", validator.CLIENT, "uuid4_rfc4122"),),
    ),
    Operation(
        "post",
        "/okami/auth/sign/in/step2",
        "okami.step2",
        okami_success(NOTHING, None),
        dialect=OKAMI,
        headers=(SECRET,),
        body=OkamiCredentials,
        sends={"email": "test@gmail.com", "password": "@Testing1"},
        gives=GIVES_SECRET,
        refusals=(
            lambda: failed("Step2", validator.EMAIL, "email"),
            errors.SignInRequired,
            *WRONG,
        ),
    ),
    Operation(
        "get",
        "/okami/auth/sign/in/step3/{token}",
        "okami.step3",
        okami_success(
            record(
                user_id=SECONDS,
                email=TEXT,
                client_id=UUID,
                status=SECONDS,
                sysadmin=FLAG,
                user_token=TEXT,
            ),
            {
                "user_id": 27,
                "email": "test@gmail.com",
                "client_id": CLIENT,
                "status": okami.ACTIVE,
                "sysadmin": 0,
                "user_token": JWT,
            },
        ),
        dialect=OKAMI,
        refusals=(errors.SignInRequired, errors.AccountDeactivated),
    ),
)
