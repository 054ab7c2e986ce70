"""No verb on an invitation is without a row in the table of roles: part of `make check`."""

from pathlib import Path

import pytest
from flask import Flask

import portal
from portal import create_app
from tests import verbs
from tests.conftest import make_settings

TREE = Path(portal.__file__).parent


@pytest.fixture(scope="module")
def addressed(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """A portal whose addresses are looked at, and which is asked for none."""
    return create_app(make_settings(f"sqlite:///{tmp_path_factory.mktemp('none') / 'portal.db'}"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small portal that asks before it acts."""
    write(
        tmp_path,
        "def reveal(invitation, *, by):\n"
        "    reach.require_may_act(invitation, by=by)\n"
        "    return code_of(invitation)\n",
    )
    return tmp_path


def write(tree: Path, source: str) -> None:
    """Add a function to a portal."""
    path = tree / "domain" / "invitations.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + source)


# case 81
def test_every_verb_of_the_domain_has_a_row() -> None:
    listed = verbs.rows(verbs.VERBS).keys() | verbs.OTHER_VERBS.keys()
    known = verbs.verbs(TREE)

    assert known - listed == set(), "verbs that nobody has thought about"
    assert listed - known == set(), "verbs that are gone"


# case 81
def test_whatever_touches_an_invitation_asks_or_says_why_it_need_not() -> None:
    known = verbs.unguarded(TREE)

    assert known - verbs.EXCUSED.keys() == set(), "these ask no rule"
    assert verbs.EXCUSED.keys() - known == set(), "these are gone, or ask by now"


# case 81
def test_every_address_about_an_invitation_has_a_row(addressed: Flask) -> None:
    listed, known = verbs.rows(verbs.PAGES).keys(), verbs.addresses(addressed)

    assert known - listed == set(), "addresses that nobody has thought about"
    assert listed - known == set(), "addresses that are gone"


# case 81
def test_every_command_has_a_row(addressed: Flask) -> None:
    assert set(addressed.cli.commands) - verbs.COMMANDS.keys() == set()


def test_a_portal_that_asks_before_it_acts_passes(tree: Path) -> None:
    assert verbs.verbs(tree) == {"invitations.reveal"}
    assert verbs.unguarded(tree) == set()


@pytest.mark.parametrize(
    "body",
    [
        "return code_of(invitation)",
        "return codes.unseal(invitation.sealed, invitation.id)",
        "return sealing.unseal(sealed, purpose=codes.SEAL, row=row)",
        "return sealing.unseal_all(sealed, purpose=SEAL)",
        "return sealing.unseal(sealed, purpose='invitation seal', row=row)",
        "return opened(sealed, key=keys.derive('invitation seal'))",
        "return invitation.sealed",
        "db.session.execute(sa.update(Invitation).values(revoked_at=now))",
        "db.session.execute(sa.delete(Invitation.__table__))",
        "invitation.revoked_at = now",
        "outbox.queue('invitation', to=to, about=invitation.id, now=now)",
        "return db.session.execute(sa.select(Invitation.sealed)).all()",
    ],
)
def test_a_new_verb_without_a_guard_is_noticed(tree: Path, body: str) -> None:
    write(tree, f"\ndef act(invitation, *, by):\n    {body}\n")

    assert verbs.unguarded(tree) == {"domain.invitations.act"}
    assert verbs.verbs(tree) == {"invitations.reveal", "invitations.act"}


def test_other_secrets_are_opened_without_a_guard(tree: Path) -> None:
    write(tree, "\ndef pin(row):\n    return sealing.unseal(row.pin, purpose=_SEAL, row=row.id)\n")

    assert verbs.unguarded(tree) == set()
