"""What happened to one invitation, and lately to all."""

from datetime import timedelta

import pytest

from portal.domain.invitations import invitations, timeline
from tests import factories
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")


def test_the_story_of_an_invitation_names_who_did_what_and_in_order() -> None:
    olivia, oscar = factories.owner(), factories.owner(username="oscar")
    invited = factories.invitation(olivia)
    factories.invitation(olivia)
    factories.redeem(code_of(invited), origin=device(), now=NOW)
    invitations.revoke(invited, by=oscar, origin=device(), now=NOW)

    assert [(entry.event.action, entry.actor) for entry in timeline.of_invitation(invited)] == [
        ("invitation.issued", "olivia"),
        ("invitation.redeemed", ""),
        ("invitation.revoked", "oscar"),
    ]


def test_the_latest_events_come_newest_first() -> None:
    factories.invitation(factories.owner())

    assert [(entry.event.action, entry.actor) for entry in timeline.latest(2)] == [
        ("invitation.issued", "olivia"),
        ("account.registered", "olivia"),
    ]


def test_those_an_invitation_let_in_are_listed_first_comers_first() -> None:
    invited = factories.invitation(factories.owner(), max_uses=None)
    phones = [device() for _ in range(3)]
    for hours, phone in enumerate(phones):
        factories.redeem(code_of(invited), origin=phone, now=NOW - timedelta(hours=hours))

    found = timeline.redemptions_of(invited)

    assert [entry.device for entry in found] == [phone.device_digest for phone in reversed(phones)]
