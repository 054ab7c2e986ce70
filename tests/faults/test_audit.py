"""Many who read the audit log at once, and so link what is not linked yet: once, and in order."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import sqlalchemy as sa
from flask import Flask, current_app

from portal.clock import utcnow
from portal.domain.audit import audit, chain
from portal.extensions import db
from portal.models import Account, UnlinkedEvent
from tests.faults.attack import Browser, at_once, must_break, twins
from tests.faults.conftest import Serve

READERS = 12


def test_who_links_at_once_links_each_event_once(serve_portal: Serve, olivia: Account) -> None:
    with serve_portal() as url:
        reader = Browser.open(url)
        reader.sign_in(olivia.username)
        for _ in range(4):
            assert _read_at_once(reader) == {200}

    assert chain.first_broken_link() is None
    assert db.session.scalars(sa.select(UnlinkedEvent)).all() == []
    assert [event.details["cup"] for event in audit.latest(10)] == list(reversed(range(10)))


# the control of the one above
def test_reading_the_end_of_the_chain_without_holding_it_would_link_twice(
    serve_unguarded: Serve, olivia: Account
) -> None:
    with serve_unguarded(UNGUARDED="chain_end_read_first") as url:
        reader = Browser.open(url)
        reader.sign_in(olivia.username)
        must_break(lambda: _read_at_once(reader) != {200})


def _read_at_once(reader: Browser) -> set[int]:
    """How the pages of many readers are answered while there is something to link, and more."""
    pages = [partial(each.visit, "/admin/audit") for each in twins(READERS, reader)]
    with ThreadPoolExecutor(1) as kitchen:
        poured = kitchen.submit(_pour, current_app._get_current_object())
        answers = at_once(pages)
        poured.result()
    return {answer.status_code for answer in answers}


def _pour(app: Flask) -> None:
    with app.app_context():
        for cup in range(10):
            audit.record("tea.poured", now=utcnow(), cup=cup)
            db.session.commit()
            time.sleep(0.03)
