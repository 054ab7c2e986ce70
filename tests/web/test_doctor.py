"""The doctor's page, for the owner."""

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.domain.audit import audit
from portal.domain.operations import worker_tasks
from portal.domain.operations.worker_tasks import Task
from portal.extensions import db
from portal.models import TaskKind, WorkerTask
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


# case 85
def test_a_task_that_was_set_aside_can_be_resumed(app: Flask, olivia: PageClient) -> None:
    with app.app_context():
        values = {"kind": TaskKind.CHAIN, "key": "", "deaths": 2, "failures": 0}
        db.session.execute(
            sa.insert(WorkerTask).values(due_at=utcnow(), set_aside_at=utcnow(), **values)
        )
        db.session.commit()
    assert "Linking the audit log Set aside" in olivia.page("/admin/doctor").words

    assert olivia.submit("/admin/doctor/chain/resumption").location == "/admin/doctor"

    assert "The worker will try it again." in olivia.page("/admin/doctor").words
    assert "Linking the audit log" not in olivia.page("/admin/doctor").words
    with app.app_context():
        assert "task.resumed" in {event.action for event in audit.latest(5)}


# case 85
def test_a_task_that_fails_again_and_again_is_pointed_out(app: Flask, olivia: PageClient) -> None:
    with app.app_context():
        task = Task(TaskKind.RETENTION)
        worker_tasks.begin(task, now=utcnow())
        for _ in range(worker_tasks.MANY_FAILURES):
            worker_tasks.fail(task, "KeyError", now=utcnow())

    page = olivia.page("/admin/doctor").words

    assert "Removing old data Failed 3 times in a row (KeyError)" in page
    assert "Some fail again and again (retention)" in page
