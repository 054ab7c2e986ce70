"""Error messages in the dialect of the former invitation service."""

from portal.clock import utcnow
from portal.domain import errors

UNKNOWN_CODE = "invalid invitation code, try again!"
# The message of these views for any domain error.
REFUSALS = {
    "api.generate": "failed to generate invitation, try again!",
    "api.index": "failed to get invitation, try again!",
    "api.validate": UNKNOWN_CODE,
}
# The messages of these domain errors elsewhere.
WORDS: dict[type[Exception], str] = {
    errors.SignInRequired: "unauthorized",
    errors.InvalidEmail: "invalid email",
    errors.PasswordsDiffer: "password doesn't match",
    errors.BadInput: "invalid request",
    errors.AccountTaken: "user already exist",
    errors.InvalidCredentials: "email or password doesn't match!",
    errors.AccountDeactivated: "email or password doesn't match!",
    errors.RecipientUnproven: UNKNOWN_CODE,
    errors.VerificationRefused: UNKNOWN_CODE,
    errors.NotFound: "invitation not found!",
}
# Statuses other than 400.
STATUS: dict[type[Exception], int] = {
    errors.SignInRequired: 401,
    errors.NotFound: 404,
    errors.NotAllowed: 403,
    errors.ForeignOrigin: 403,
    errors.KeyReused: 422,
}
# HTTP errors, by the status a page would have.
FAULTS = {
    404: ("method not allowed!", 405),
    405: ("method not allowed!", 405),
    429: ("too many requests, please try again later!", 429),
}
FAULT = "something when wrong, please try again!"
NO_DEVICE = ("invalid deviceId, please reinstall apps!", 405)
LOCKED = "too many failed login attempts, please try again in {left}!"
CHANCES = "invalid invitation code, you have {left} chances left!"


def of_refusal(error: errors.PortalError, endpoint: str | None) -> tuple[str, int]:
    """The message and status of a domain error in the view `endpoint`."""
    status = STATUS.get(type(error), 400)
    if isinstance(error, errors.LockedOut):
        return LOCKED.format(left=duration(error.seconds_left(utcnow()))), status
    if isinstance(error, errors.CodeRefused) and error.tries_left is not None:
        return CHANCES.format(left=error.tries_left), status
    if endpoint in REFUSALS and type(error) not in STATUS:
        return REFUSALS[endpoint], status
    return WORDS.get(type(error), str(error)), status


def of_fault(status: int) -> tuple[str, int]:
    """The message and status of an HTTP or server error."""
    if status >= 500:
        return FAULT, status
    return FAULTS.get(status, (WORDS[errors.BadInput], 400))


def duration(seconds: int) -> str:
    """Format whole seconds as Go's `time.Duration`: `1h0m0s`, `29m58s`, `45s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
