"""A database that goes away for a moment: 503 meanwhile, and nobody has to restart the portal."""

from functools import partial

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import make_url

from portal.clock import utcnow
from portal.extensions import db
from portal.http.guards import public
from portal.models import Account
from tests import factories
from tests.factories import code_of
from tests.faults.attack import at_once, browsers, ledger, statuses, uses
from tests.faults.conftest import Serve


def cut_connections(database_url: str) -> None:
    """End every connection to the database, as its restart does."""
    url = make_url(database_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


# case 77
@pytest.mark.gunicorn
def test_the_portal_recovers_by_itself_and_nothing_is_half_written(
    engine: str, database_url: str, serve_portal: Serve, olivia: Account
) -> None:
    if engine == "sqlite":  # there is no server to restart
        return
    party = factories.invitation(olivia, utcnow(), max_uses=None)
    code, invitation = code_of(party), party.id
    db.session.remove()
    with serve_portal() as url:
        people = browsers(12, url)
        cut = partial(cut_connections, database_url)
        redemptions = [partial(person.redeem, code) for person in people]
        answers = at_once([*redemptions[:6], cut, *redemptions[6:]])
        meanwhile = statuses([answer for answer in answers if answer is not None])
        afterwards = statuses([person.redeem(code) for person in people])

    assert set(meanwhile) <= {303, 503}
    assert afterwards == {303: 12}
    db.engine.dispose()
    assert uses(invitation) == ledger(invitation) == 12


# case 77
def test_an_answer_that_was_only_read_stands_though_the_database_is_gone(
    engine: str, app: Flask, database_url: str
) -> None:
    if engine == "sqlite":
        return

    @public
    def read() -> str:
        db.session.execute(sa.select(1))
        cut_connections(database_url)
        return "read"

    app.add_url_rule("/read", view_func=read)

    for _ in range(2):
        answer = app.test_client().get("/read")
        assert (answer.status_code, answer.text) == (200, "read")
