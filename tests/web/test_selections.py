"""Invitations chosen by hand: one thing done with all of them."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.db.types import new_id
from portal.models import AuditEvent, Invitation, Status
from tests.pages import PageClient, words
from tests.web.conftest import Issue

Ask = Callable[[sa.Select[Any]], list[Any]]


def states(ask: Ask) -> list[Status]:
    """The state of every invitation, in the order they were issued."""
    return [each.status(utcnow()) for each in ask(sa.select(Invitation).order_by(Invitation.id))]


def test_those_that_are_ticked_are_shown_before_anything_is_done(
    alice: PageClient, issue: Issue, ask: Ask
) -> None:
    first, second = issue(label="Ana"), issue(label="Budi")
    issue(label="Citra")
    chosen = {"invitation": [first.id, second.id], "back": "/admin/invitations?sort=label"}

    answer = alice.submit("/admin/selection/revocation/question", chosen)

    assert "Revoke 2 invitations" in words(answer)
    assert "Ana" in words(answer)
    assert "Citra" not in words(answer)
    assert states(ask) == [Status.ACTIVE] * 3


def test_those_that_are_ticked_are_revoked_and_the_list_is_shown_again(
    alice: PageClient, issue: Issue, ask: Ask
) -> None:
    first, second = issue(), issue()
    issue()
    back = "/admin/invitations?sort=label"

    answer = alice.submit(
        "/admin/selection/revocation", {"invitation": [first.id, second.id], "back": back}
    )

    assert (answer.status_code, answer.location) == (303, back)
    assert "Revoked: 2." in alice.page(back).words
    assert states(ask) == [Status.REVOKED, Status.REVOKED, Status.ACTIVE]


def test_those_that_are_ticked_are_extended(alice: PageClient, issue: Issue, ask: Ask) -> None:
    chosen = {"invitation": [issue().id, issue().id]}
    assert "Extend 2 invitations" in words(
        alice.submit("/admin/selection/extension/question", chosen)
    )

    answer = alice.submit("/admin/selection/extension", chosen | {"validity": "never"})

    assert (answer.status_code, answer.location) == (303, "/admin/invitations")
    assert ask(sa.select(Invitation.expires_at)) == [None, None]


def test_an_end_that_makes_no_sense_is_said_and_the_choice_is_kept(
    alice: PageClient, issue: Issue
) -> None:
    chosen = {"invitation": [issue(label="Ana").id]}
    for terms, said in (
        ({"validity": "days", "days": ""}, "Enter a number of days."),
        ({"validity": "date", "ends": "2020-01-01T00:00"}, "Choose a moment in the future."),
    ):
        answer = alice.submit("/admin/selection/extension", chosen | terms)
        assert answer.status_code == 422
        assert said in words(answer)
        assert "Ana" in words(answer)


def test_cards_of_those_that_are_ticked(alice: PageClient, issue: Issue, ask: Ask) -> None:
    first, second = issue(), issue()
    gone = issue(expires_at=None)
    alice.submit("/admin/selection/revocation", {"invitation": [gone.id]})

    answer = alice.submit("/admin/selection/cards", {"invitation": [first.id, second.id, gone.id]})

    assert first.code in answer.text
    assert second.code in answer.text
    assert gone.code not in answer.text
    shown = sa.select(AuditEvent.subject_id).where(AuditEvent.action == "invitation.code_shown")
    assert set(ask(shown)) == {first.id, second.id}


@pytest.mark.parametrize("action", ["revocation/question", "revocation", "extension", "cards"])
def test_nothing_ticked_is_said_in_words(alice: PageClient, action: str) -> None:
    answer = alice.submit(f"/admin/selection/{action}", {"validity": "never"})

    assert answer.status_code == 422
    assert "Choose some invitations first" in words(answer)


@pytest.mark.parametrize(
    "chosen",
    [["nonsense"], [str(new_id()) for _ in range(101)]],
    ids=["no id", "more than a page holds"],
)
def test_what_no_list_of_ours_sends_is_refused(alice: PageClient, chosen: list[str]) -> None:
    answer = alice.submit("/admin/selection/revocation", {"invitation": chosen})
    assert answer.status_code == 400


# case 65
@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example"])
def test_nobody_is_sent_elsewhere_afterwards(alice: PageClient, issue: Issue, back: str) -> None:
    answer = alice.submit("/admin/selection/revocation", {"invitation": [issue().id], "back": back})
    assert answer.location == "/admin/invitations"
