"""`flask audit`."""

import pytest
from click.testing import Result
from flask import Flask

from portal.domain.audit import audit, chain
from portal.extensions import db
from tests import factories
from tests.conftest import run_sql
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")


def run(app: Flask, *arguments: str) -> Result:
    """Run `flask audit` with these arguments."""
    return app.test_cli_runner().invoke(args=["audit", *arguments])


def test_a_whole_chain_is_said_to_be_whole_and_where_it_ends(app: Flask) -> None:
    factories.owner()

    result = run(app, "verify")

    assert result.exit_code == 0
    assert "The chain of 1 events is whole. It ends at 1:" in result.output


def test_the_first_broken_link_is_named(app: Flask) -> None:
    factories.owner()
    factories.owner(username="oscar")
    chain.catch_up()
    run_sql("UPDATE audit_event SET address = '198.51.100.9' WHERE number = 2")

    result = run(app, "verify")

    assert result.exit_code == 1
    assert "The chain is broken at event 2" in result.output


def test_a_chain_that_was_cut_off_and_grown_again_is_found_by_its_former_end(app: Flask) -> None:
    audit.record("tea.poured", now=NOW)
    db.session.commit()
    former = run(app, "verify").output.split()[-1]
    audit.record("tea.poured", now=NOW)
    db.session.commit()

    assert run(app, "verify", "--ended", former).exit_code == 0
    result = run(app, "verify", "--ended", former[:-1] + "x")
    assert result.exit_code == 1
    assert "does not lead through" in result.output
    assert run(app, "verify", "--ended", "nonsense").exit_code == 2


def test_vouching_asks_first(app: Flask) -> None:
    assert run(app, "vouch").exit_code == 1
    assert audit.latest(1) == []
    assert run(app, "vouch", "--yes").exit_code == 0
    assert [event.action for event in audit.latest(2)] == ["audit.vouched"]
