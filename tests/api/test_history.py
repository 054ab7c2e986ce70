"""Walking, filtering and changing one's own invitations; and asking for one only once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from uuid import uuid4

import httpx
import pytest
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.invitations import invitations
from portal.domain.invitations.invitations import Terms
from tests import factories
from tests.api.programs import INVITATION, Person, Program, admin, data, device, refusal

pytestmark = pytest.mark.gunicorn

NOT_FOUND = (404, "invitation not found!")
MANY = 230
TEN = 10


@pytest.fixture
def codes(signed_in: tuple[Program, Person], behind: Flask) -> list[str]:
    """Many codes of Alice's, newest first; every tenth is labelled."""
    alice = accounts.find(signed_in[1].email)
    assert alice is not None
    now = utcnow()
    issued = [
        invitations.issue(
            Terms(label="tenth" if number % 10 == 0 else "", expires_at=now + timedelta(days=7)),
            by=alice,
            origin=factories.device(),
            now=now,
        )
        for number in range(MANY)
    ]
    return [invitations.code_of(invitation) for invitation in reversed(issued)]


def walk(alice: Program, **view: object) -> list[str]:
    """Every code, by following the cursor from page to page."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        history = alice.history(cursor=cursor, **view)
        found += [row["code"] for row in history["data"]]
        cursor = history["paginations"]["next_cursor"]
        assert len(found) <= MANY + 100, "the walk does not end"
    return found


def test_a_walk_by_cursor_meets_each_invitation_once(alice: Program, codes: list[str]) -> None:
    assert walk(alice, size=50) == codes
    assert walk(alice, size=100, q="tenth") == codes[9::10]


def test_a_walk_neither_repeats_nor_skips_what_is_issued_meanwhile(
    alice: Program, codes: list[str]
) -> None:
    first = alice.history(cursor="", size=100)
    alice.generate()

    cursor = first["paginations"]["next_cursor"]
    second = alice.history(cursor=cursor, size=100)
    assert [row["code"] for row in first["data"] + second["data"]] == codes[:200]


def test_pages_by_number_meet_each_invitation_once(alice: Program, codes: list[str]) -> None:
    pages = [alice.history(page=page, size=100) for page in (1, 2, 3)]

    assert [row["code"] for page in pages for row in page["data"]] == codes
    assert pages[2]["paginations"] == {
        "page": 3,
        "size": 100,
        "total_record": MANY,
        "total_page": 3,
    }


def test_a_walk_of_one_page_has_no_next(alice: Program) -> None:
    alice.generate()

    assert alice.history(cursor="")["paginations"]["next_cursor"] is None
    assert "next_cursor" not in alice.history()["paginations"]


def test_the_history_is_searched_by_label_and_by_code(alice: Program) -> None:
    first, second = alice.generate(label="Open day 100%"), alice.generate(label="Tuesday")

    assert [row["code"] for row in alice.history(q="open DAY")["data"]] == [first]
    assert [row["code"] for row in alice.history(q="100%")["data"]] == [first]
    assert [row["code"] for row in alice.history(q=second.lower())["data"]] == [second]
    assert alice.history(q="\0")["data"] == []


def test_a_cursor_made_by_anyone_else_is_refused(alice: Program, codes: list[str]) -> None:
    cursor = alice.history(cursor="")["paginations"]["next_cursor"]

    for wrong in (cursor[:-1], "x" + cursor, cursor.rpartition(".")[0]):
        refused = alice.get(f"{INVITATION}/history", params={"cursor": wrong})
        assert refusal(refused) == (400, "failed to get invitation, try again!")


# Somebody else's


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "/revoke", None),
        ("POST", "/revoke", {"end_sessions": True}),
        ("POST", "/extend", {"expires_in_days": 30}),
    ],
)
def test_somebody_elses_invitation_does_not_exist(
    alice: Program, service: str, method: str, path: str, body: dict[str, object] | None
) -> None:
    bob, _ = admin(service)
    code = alice.generate()
    theirs = alice.newest()

    request = {"json": body} if body else {}
    assert refusal(bob.ask(method, f"{INVITATION}/{theirs}{path}", **request)) == NOT_FOUND
    assert refusal(bob.ask(method, f"{INVITATION}/{uuid4()}{path}", **request)) == NOT_FOUND
    assert data(bob.get(f"/api/v1/invitation/{code}"))["status"] == "active"


# Beyond the document


def test_an_invitation_tells_whom_it_let_in(alice: Program) -> None:
    code = alice.generate(max_uses=3, label="Open day")
    alice.redeem(code, device())
    alice.redeem(code, device())

    shown = data(alice.get(f"{INVITATION}/{alice.newest()}"))

    assert list(shown) == [
        "id",
        "code",
        "status",
        "created_by",
        "created_at",
        "expired_at",
        "label",
        "max_uses",
        "uses",
        "redemptions",
    ]
    assert (shown["uses"], shown["max_uses"]) == (2, 3)
    assert [list(row) for row in shown["redemptions"]] == [["id", "at", "email"]] * 2


def test_a_revoked_invitation_lets_nobody_in_and_stays_revoked(alice: Program) -> None:
    code = alice.generate()
    path = f"{INVITATION}/{alice.newest()}"

    answer = {"id": alice.newest(), "status": "in_active", "sessions_ended": 0}
    assert data(alice.post(f"{path}/revoke")) == answer
    assert data(alice.post(f"{path}/revoke", json={"end_sessions": True})) == answer

    assert alice.redeem(code, device()).status_code == 400
    refused = alice.post(f"{path}/extend", json={"expires_in_days": 1})
    assert refusal(refused)[0] == 400


def test_an_invitation_is_extended_by_days_to_a_moment_or_for_ever(alice: Program) -> None:
    alice.generate()
    path = f"{INVITATION}/{alice.newest()}/extend"

    by_days = data(alice.post(path, json={"expires_in_days": 30}))["expired_at"]
    assert round((datetime.fromisoformat(by_days) - utcnow()) / timedelta(days=1)) == 30
    moment = data(alice.post(path, json={"expires_at": "2990-01-01T07:00:00+07:00"}))
    assert moment["expired_at"] == "2990-01-01T00:00:00+00:00"
    assert data(alice.post(path, json={}))["expired_at"] is None


# Idempotency-Key


def once(alice: Program, key: str, **options: object) -> httpx.Response:
    """Ask for a code with an `Idempotency-Key`."""
    return alice.post(f"{INVITATION}/generate", json=options, headers={"Idempotency-Key": key})


def test_a_repeated_request_is_answered_with_the_same_invitation(alice: Program) -> None:
    key = str(uuid4())

    first, again = (data(once(alice, key, label="Open day")) for _ in range(2))

    assert first == again
    assert alice.history()["paginations"]["total_record"] == 1
    assert data(once(alice, str(uuid4()), label="Open day"))["code"] != first["code"]


def test_another_request_with_the_same_key_is_refused(alice: Program) -> None:
    key = str(uuid4())
    data(once(alice, key, max_uses=1))

    status, message = refusal(once(alice, key, max_uses=2))

    assert status == 422
    assert message == "This Idempotency-Key was used for another request. Choose a new one."
    assert alice.history()["paginations"]["total_record"] == 1


def test_two_programs_may_choose_the_same_key(alice: Program, service: str) -> None:
    bob, _ = admin(service)

    assert data(once(alice, "1"))["code"] != data(once(bob, "1"))["code"]


@pytest.mark.parametrize("key", ["", "a" * 256])
def test_a_key_that_is_none_is_refused(alice: Program, key: str) -> None:
    assert refusal(once(alice, key)) == (400, "failed to generate invitation, try again!")


def test_of_parallel_repeats_one_issues(alice: Program) -> None:
    """The server has two workers, and each request meets one by chance."""
    for _ in range(3):
        before = alice.history()["paginations"]["total_record"]
        key = str(uuid4())

        answers = _at_once(lambda key=key: once(alice, key, label="Open day"))

        codes = Counter(data(answer)["code"] for answer in answers)
        assert list(codes.values()) == [TEN]
        assert alice.history()["paginations"]["total_record"] == before + 1


def _at_once(action: Callable[[], httpx.Response]) -> list[httpx.Response]:
    barrier = Barrier(TEN, timeout=60)

    def begin(_: int) -> httpx.Response:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(TEN) as pool:
        return list(pool.map(begin, range(TEN)))
