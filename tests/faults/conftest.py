"""What the races share: the people, and a server without one of its guards."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest

from portal.clock import utcnow
from portal.models import Account
from tests import factories
from tests.servers import serve

Serve = Callable[..., AbstractContextManager[str]]

# The tests speak as a proxy does, so that each device can be at an address of its own.
BEHIND_A_PROXY = {"TRUSTED_PROXIES": "1"}


@pytest.fixture
def serve_portal(database_url: str) -> Serve:
    """Serve the portal, as it is, over this test's database."""
    return partial(serve, database_url, **BEHIND_A_PROXY)


@pytest.fixture
def serve_unguarded(database_url: str) -> Serve:
    """Serve the portal without the guard that `UNGUARDED` names."""
    return partial(serve, database_url, app="tests.faults.unguarded:app", **BEHIND_A_PROXY)


@pytest.fixture
def olivia(context: None) -> Account:
    """The owner."""
    return factories.owner(utcnow())
