"""How a page goes on when the domain says no."""

from collections.abc import Iterator
from contextlib import contextmanager

from portal.domain.errors import (
    AskedTooOften,
    DecodersBusy,
    LockedOut,
    NotAllowed,
    NotFound,
    PortalError,
    RegistrationClosed,
    SessionEnded,
    TooManyUploads,
)
from portal.forms import Form

# They are about more than the form, and are answered by a page of their own.
GREATER = (
    AskedTooOften,
    DecodersBusy,
    LockedOut,
    NotAllowed,
    NotFound,
    RegistrationClosed,
    SessionEnded,
    TooManyUploads,
)


@contextmanager
def refusals_on(form: Form) -> Iterator[None]:
    """Let the form say what was refused, so that it can be corrected and sent again."""
    try:
        yield
    except GREATER:
        raise
    except PortalError as refusal:
        form.refusal, form.refusal_name = str(refusal), refusal.name
