"""Imports that are confirmed side by side, and processes killed while they read or confirm one."""

from functools import partial
from itertools import count

import pytest
import sqlalchemy as sa

from portal.extensions import db
from portal.models import Account, Batch, BatchState, Invitation
from tests.faults.attack import Browser, at_once, must_break, statuses
from tests.faults.conftest import Serve

FORM = {"validity": "days", "days": "7", "uses": "one", "language": "en"}
TABS = 4
GUESTS = 40

pytestmark = [pytest.mark.usefixtures("context"), pytest.mark.gunicorn]

_rounds = count(1)


def confirm_overlapping(url: str) -> list[int]:
    """Four tabs with the same guests, and one of its own each, are confirmed at the same moment.

    Return how many invitations each guest got.
    """
    host = f"round{next(_rounds)}.example.org"
    shared = [f"guest{number}@{host}" for number in range(GUESTS)]
    staff = Browser.open(url)
    staff.sign_in("olivia")
    pages = []
    for tab in range(TABS):
        answer = staff.submit(
            "/admin/imports", **FORM, pasted="\n".join([*shared, f"{tab}@{host}"])
        )
        assert answer.status_code == 303, answer.text
        pages.append(answer.headers["Location"])

    answers = at_once([partial(staff.twin().submit, f"{page}/confirmation") for page in pages])

    assert statuses(answers) == {303: TABS}
    held = sa.select(sa.func.count()).where(Invitation.recipient.endswith(f"@{host}"))
    counts = db.session.scalars(held.group_by(Invitation.recipient)).all()
    db.session.rollback()
    return list(counts)


def test_who_stands_in_two_imports_confirmed_at_once_is_invited_once(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal() as url:
        for _ in range(3):
            assert confirm_overlapping(url) == [1] * (GUESTS + TABS)

    assert set(db.session.scalars(sa.select(Batch.state))) == {BatchState.ISSUED}


def test_without_the_guard_somebody_is_invited_twice(
    serve_unguarded: Serve, olivia: Account
) -> None:
    with serve_unguarded(UNGUARDED="invited_looked_for_first") as url:
        must_break(lambda: max(confirm_overlapping(url)) > 1)
