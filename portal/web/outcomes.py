"""How pages respond to domain errors."""

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

# Errors that concern more than the form, and get a page of their own.
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
    """Show a domain error on the form, so that the input can be corrected and sent again."""
    try:
        yield
    except GREATER:
        raise
    except PortalError as refusal:
        form.refusal, form.refusal_name = str(refusal), refusal.name
