"""People without a code ask for one, and staff decide."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from portal.models import AuditEvent, Invitation, InvitationRequest, Mail, RequestState
from tests.pages import PageClient, words
from tests.web.conftest import Issue

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]

QUEUE = "/admin/requests"
WAITING = sa.select(InvitationRequest).where(InvitationRequest.state == RequestState.WAITING)


@pytest.fixture
def settings_changes() -> dict[str, object]:
    """A portal where people may ask."""
    return {"invitation_requests": True}


def ask_for_one(browser: PageClient, **fields: str) -> TestResponse:
    """Send the form."""
    return browser.submit("/request", {"name": "Ana", "email": "ana@example.org"} | fields)


def decide(browser: PageClient, how: str, *requests: InvitationRequest) -> TestResponse:
    """Tick these, and press the button."""
    return browser.submit(f"{QUEUE}/{how}", {"ids": [str(request.id) for request in requests]})


def test_the_landing_page_says_where_to_ask(client: PageClient) -> None:
    assert "Ask for an invitation" in client.page("/").words


def test_whoever_is_approved_gets_a_code_by_mail(
    newcomer: Newcomer, alice: PageClient, ask: Ask
) -> None:
    assert ask_for_one(newcomer(), reason="I bake.").status_code == 303
    assert "I bake." in alice.page(QUEUE).words

    assert decide(alice, "approval", *ask(WAITING)).status_code == 303

    [invited] = ask(sa.select(Invitation))
    [mail] = ask(sa.select(Mail))
    assert (invited.recipient, invited.label) == ("ana@example.org", "Ana")
    assert (mail.recipient, mail.about_id) == ("ana@example.org", invited.id)
    assert "ana@example.org" in alice.page(f"{QUEUE}/approved").words


def test_whoever_is_declined_hears_nothing(newcomer: Newcomer, alice: PageClient, ask: Ask) -> None:
    ask_for_one(newcomer())

    decide(alice, "refusal", *ask(WAITING))

    assert ask(WAITING) == ask(sa.select(Mail)) == ask(sa.select(Invitation)) == []
    assert "request.declined" in ask(sa.select(AuditEvent.action))


def test_many_are_decided_at_once(newcomer: Newcomer, alice: PageClient, ask: Ask) -> None:
    for name in ("ana", "budi", "citra"):
        ask_for_one(newcomer(), name=name, email=f"{name}@example.org")

    decide(alice, "approval", *ask(WAITING))

    assert len(ask(sa.select(Invitation))) == 3


def test_a_request_is_approved_only_once(newcomer: Newcomer, alice: PageClient, ask: Ask) -> None:
    ask_for_one(newcomer())
    waiting = ask(WAITING)

    decide(alice, "approval", *waiting)
    decide(alice, "approval", *waiting)

    assert len(ask(sa.select(Invitation))) == 1


def test_somebody_invited_gets_the_invitation_again_and_the_asker_learns_nothing(
    newcomer: Newcomer, issue: Issue, ask: Ask
) -> None:
    invited = issue(recipient="ana@example.org")

    known = newcomer().page(ask_for_one(newcomer()).headers["Location"])
    unknown = newcomer().page(ask_for_one(newcomer(), email="new@example.org").headers["Location"])

    assert known.words == unknown.words
    assert [mail.about_id for mail in ask(sa.select(Mail))] == [invited.id]
    assert [request.email for request in ask(WAITING)] == ["new@example.org"]


def test_asking_twice_waits_once(newcomer: Newcomer, ask: Ask) -> None:
    ask_for_one(newcomer())
    ask_for_one(newcomer(), email="Ana@Example.org")

    assert len(ask(WAITING)) == 1


def test_a_mailbox_is_written_to_three_times_an_hour_at_most(
    newcomer: Newcomer, issue: Issue, ask: Ask
) -> None:
    issue(recipient="ana@example.org")

    for _ in range(5):
        assert ask_for_one(newcomer()).status_code == 303

    assert len(ask(sa.select(Mail))) == 3


def test_the_sixth_request_of_an_address_within_an_hour_has_to_wait(
    newcomer: Newcomer, ask: Ask
) -> None:
    for number in range(5):
        ask_for_one(newcomer(), email=f"guest{number}@example.org")

    refused = ask_for_one(newcomer(), email="one-more@example.org")

    assert refused.status_code == 429
    assert "Too many requests came from your network." in words(refused)
    assert len(ask(WAITING)) == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "Ana\nBcc: all"), ("email", "a@x,b@y"), ("reason", "x" * 1001)],
)
def test_a_request_that_makes_no_sense_is_shown_again(
    client: PageClient, ask: Ask, field: str, value: str
) -> None:
    assert ask_for_one(client, **{field: value}).status_code == 422
    assert ask(WAITING) == []


def test_what_an_asker_writes_is_shown_as_it_stands(newcomer: Newcomer, alice: PageClient) -> None:
    ask_for_one(newcomer(), name="<script>alert(1)</script>", reason="{{7*7}}")

    page = alice.page(QUEUE)

    assert "<script>alert(1)</script>" in page.words
    assert "{{7*7}}" in page.words


def test_ids_that_are_none_are_refused(alice: PageClient) -> None:
    assert alice.submit(f"{QUEUE}/approval", {"ids": ["nonsense"]}).status_code == 400
