"""What load balancers and Prometheus are told."""

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.api import health
from portal.clock import utcnow
from portal.domain.errors import CodeRefused
from portal.domain.mail import outbox
from portal.extensions import db
from tests import factories
from tests.factories import NOW, code_of, device
from tests.pages import PageClient

STUCK = health.STUCK_AFTER


def test_a_portal_that_can_work_says_so(client: PageClient) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.get_json()["checks"] == {"database": True, "migrations": True, "outbox": True}


def test_a_portal_whose_tables_are_old_is_not_ready(app: Flask, client: PageClient) -> None:
    with app.app_context():
        head = db.session.scalar(sa.text("SELECT version_num FROM alembic_version"))
        db.session.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
        db.session.commit()
    try:
        answer = client.get("/readyz")
    finally:
        with app.app_context():
            db.session.execute(
                sa.text("UPDATE alembic_version SET version_num = :head"), {"head": head}
            )
            db.session.commit()

    assert answer.status_code == 503
    assert answer.get_json()["checks"]["migrations"] is False


@pytest.mark.parametrize("settings_changes", [{"mail_url": "smtp://127.0.0.1:1"}])
def test_a_portal_whose_mail_stands_still_is_not_ready(app: Flask, client: PageClient) -> None:
    with app.app_context():
        invited = factories.invitation(factories.owner())
        outbox.queue("invitation", to="a@example.com", about=invited.id, now=utcnow() - 2 * STUCK)
        db.session.commit()

    answer = client.get("/readyz")

    assert (answer.status_code, answer.get_json()["checks"]["outbox"]) == (503, False)


def test_redemptions_and_refusals_are_counted_once_they_are_committed(
    app: Flask, client: PageClient
) -> None:
    before = numbers(client)
    with app.app_context():
        invited = factories.invitation(factories.owner())
        factories.redeem(code_of(invited), origin=device(), now=NOW)
        with pytest.raises(CodeRefused):
            factories.redeem("wrong", origin=device(), now=NOW)
        factories.invitation(factories.staff(factories.Role.ADMIN, "alice"))
        db.session.rollback()
    after = numbers(client)

    for action, count in {
        "invitation.redeemed": 1,
        "code.refused": 1,
        "invitation.issued": 2,
    }.items():
        name = f'portal_events_total{{action="{action}"}}'
        assert after.get(name, 0) - before.get(name, 0) == count


@pytest.mark.parametrize("settings_changes", [{"metrics_token": "a token for prometheus"}])
def test_the_numbers_are_for_whoever_holds_the_token(client: PageClient) -> None:
    token = {"Authorization": "Bearer a token for prometheus"}
    assert client.get("/metrics", headers=token).status_code == 200
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer x"}).status_code == 403


def test_without_a_token_the_numbers_are_for_this_machine(client: PageClient) -> None:
    elsewhere = {"REMOTE_ADDR": "198.51.100.7"}
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", environ_base=elsewhere).status_code == 403
    forwarded = {"X-Forwarded-For": "198.51.100.7"}
    assert client.get("/metrics", headers=forwarded).status_code == 403


def numbers(client: PageClient) -> dict[str, float]:
    """Every number, by its name and labels."""
    lines = client.get("/metrics").text.splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


# case 91
def test_invented_methods_and_paths_make_no_new_series(client: PageClient) -> None:
    def series() -> set[str]:
        lines = client.get("/metrics").text.splitlines()
        return {line.rpartition(" ")[0] for line in lines if line.startswith("portal_request")}

    for known in ("BREW", "GET"):
        client.open("/nowhere", method=known)
        client.open("/ping", method=known)
    before = series()
    for number in range(20):
        client.open("/ping", method=f"BREW{number}")
        client.get(f"/nowhere/{number}")
        client.open("/nowhere", method=f"brew{number}")

    assert series() == before
    assert any('method="OTHER",route="unmatched"' in each for each in before)
