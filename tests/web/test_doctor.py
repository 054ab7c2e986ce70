"""The doctor's page, for the owner."""

import pytest

from tests.pages import PageClient

BEHIND_ONE = {"trusted_proxies": 1}


def test_the_owner_reads_how_every_part_is(olivia: PageClient) -> None:
    page = olivia.page("/admin/doctor")

    assert "The portal works." in page.words
    assert "Client address well You come from 127.0.0.1, and no proxy stands between." in page.words
    assert "Set MAIL_URL, or hand the mails on yourself." in page.words


def test_a_proxy_that_is_not_trusted_is_noticed(olivia: PageClient) -> None:  # case 66
    page = olivia.page("/admin/doctor", headers={"X-Forwarded-For": "203.0.113.9"})

    assert "1 thing is wrong." in page.words
    assert "Everybody seems to come from 127.0.0.1, which is a proxy" in page.words
    assert "Set TRUSTED_PROXIES=1: your request passed 203.0.113.9 → 127.0.0.1." in page.words


@pytest.mark.parametrize("settings_changes", [BEHIND_ONE])
def test_a_proxy_that_is_trusted_is_well(olivia: PageClient) -> None:  # case 66
    page = olivia.page("/admin/doctor", headers={"X-Forwarded-For": "203.0.113.9"})

    assert "You come from 203.0.113.9, through 1 trusted" in page.words


@pytest.mark.parametrize("settings_changes", [BEHIND_ONE])
def test_a_proxy_that_is_trusted_but_not_there_is_noticed(olivia: PageClient) -> None:  # case 66
    assert "Anybody can make up an address" in olivia.page("/admin/doctor").words


@pytest.mark.parametrize("settings_changes", [{"mail_url": "smtp://127.0.0.1:1"}])
def test_a_test_mail_shows_what_the_server_said(olivia: PageClient) -> None:
    answer = olivia.submit("/admin/doctor/test-mail")

    assert answer.status_code == 200
    assert "The mail server did not take it" in answer.text
