"""Write a mail, see how it will read, send it again, hold it back; and the reader's way out."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.mail import outbox, unsubscribe
from portal.extensions import db
from portal.models import Batch, Mail, MailRefusal
from tests.domain.mail.test_resend import batch_of
from tests.pages import PageClient, words
from tests.web.conftest import Issue

PREVIEW = "/admin/mails/preview/fragment"
WRITTEN = {
    "language": "en",
    "validity": "never",
    "subject": "Hi {name}",
    "message": "Come, {nmae}!",
}


@pytest.fixture
def batch(app: Flask, olivia: PageClient) -> str:
    """Where Olivia finds a batch with two mails."""
    with app.app_context():
        by = accounts.find("olivia")
        assert by is not None
        made = batch_of(by, "ana@x.org", "bert@x.org", issued_now=utcnow())
        return f"/admin/batches/{made.id}"


def test_a_preview_says_what_the_mail_will_say(olivia: PageClient) -> None:
    shown = words(olivia.submit(PREVIEW, WRITTEN | {"recipient_name": "Ana"}))
    assert "Subject Hi Ana" in shown
    assert "Come, {nmae}!" in shown
    assert "We have no field called {nmae}" in shown
    assert "Your code: XXXX-XXXX-XXXX" in shown


def test_an_empty_preview_shows_our_own_words(olivia: PageClient) -> None:
    empty = {"language": "id", "validity": "never"}
    assert "olivia mengundang Anda ke Invitation Portal." in words(olivia.submit(PREVIEW, empty))


@pytest.mark.parametrize(
    "mistake", [{"days": "x", "validity": "days"}, {"days": "9" * 30}, {"subject": "a\nb"}]
)
def test_a_preview_of_what_is_wrong_says_so(olivia: PageClient, mistake: dict[str, Any]) -> None:
    answer = olivia.submit(PREVIEW, {"language": "en", "validity": "days"} | mistake)
    assert "The preview is back when the form is right" in words(answer)


def test_the_words_of_the_form_are_in_the_mail(olivia: PageClient) -> None:
    form = {
        "validity": "never",
        "uses": "one",
        "grants_role": "",
        "recipient": "ana@x.org",
        "recipient_name": "Ana",
        "language": "id",
        "mailed": "y",
        "subject": "Pesta {name}",
        "message": "Datanglah!",
    }
    assert olivia.submit("/admin/invitations", form).status_code == 303
    mail = next(
        url for name, url in olivia.page("/admin/mails").links.items() if "ana@x.org" in name
    )
    shown = olivia.page(mail).words
    assert "Pesta Ana" in shown
    assert "Datanglah!" in shown
    assert "Kode Anda" in shown


def test_a_mail_goes_out_again_by_a_button(olivia: PageClient, issue: Issue) -> None:
    issued = issue(recipient="ana@x.org")
    assert olivia.submit(f"{issued.page}/mails").location == issued.page
    page = olivia.page(issued.page)
    assert "It will be sent again." in page.words
    assert "Invitation waiting" in page.words
    olivia.submit(f"{issued.page}/mails")
    assert "Its mail is still waiting to be sent." in olivia.page(issued.page).words


def test_a_batch_says_how_its_mails_are(olivia: PageClient, batch: str) -> None:
    assert "0 sent, 2 waiting, 0 failed." in olivia.page(batch).words


def test_the_mails_of_a_batch_are_paused_and_go_on(olivia: PageClient, batch: str) -> None:
    olivia.submit(f"{batch}/mails/pause")
    assert "Let them go on" in olivia.page(batch).words
    olivia.submit(f"{batch}/mails/resumption")
    assert "Pause" in olivia.page(batch).words


def test_the_failed_mails_of_a_batch_are_tried_again(
    app: Flask, olivia: PageClient, batch: str
) -> None:
    with app.app_context():
        for mail in db.session.scalars(sa.select(Mail)).all():
            outbox.failed(mail, "550 no such mailbox", now=utcnow(), for_good=True)
    olivia.submit(f"{batch}/mails/retry")
    assert "Will be tried again: 2." in olivia.page(batch).words


def test_chosen_invitations_are_mailed_again(olivia: PageClient, issue: Issue) -> None:
    ids = [str(issue(recipient="ana@x.org").id), str(issue().id)]
    question = olivia.submit("/admin/selection/mails/question", {"invitation": ids[:1]})
    assert "Mail 1 invitation again" in words(question)
    olivia.submit("/admin/selection/mails", {"invitation": ids})
    assert "Will be sent again: 1. Left out: 1." in olivia.page("/admin/invitations").words


def test_the_owner_pauses_all_batches(olivia: PageClient, batch: str) -> None:
    olivia.submit("/admin/mails/pause")
    assert "batches paused" in olivia.page("/admin/mails").words
    olivia.submit("/admin/mails/resumption")
    assert "batches paused" not in olivia.page("/admin/mails").words


def test_the_outbox_shows_one_state_and_one_batch(olivia: PageClient, batch: str) -> None:
    assert "No such mail." in olivia.page("/admin/mails?state=failed").words
    only = olivia.page(f"/admin/mails?state=waiting&batch={batch.rpartition('/')[2]}")
    assert "Invitation to ana@x.org" in only.words
    assert olivia.get("/admin/mails?before=nonsense").status_code == 400


# --- The way out ---


@pytest.fixture
def way_out(app: Flask, issue: Issue) -> str:
    """The link in a mail to Ana."""
    issued = issue(recipient="ana@x.org")
    with app.app_context():
        return unsubscribe.url(issued.id).removeprefix("http://localhost")


def refused(app: Flask) -> list[str]:
    """Who wants no mail."""
    with app.app_context():
        return list(db.session.scalars(sa.select(MailRefusal.email)))


def test_looking_at_the_way_out_refuses_nothing(
    app: Flask, client: PageClient, way_out: str
) -> None:  # case 43
    assert "We will not send invitations to ana@x.org any more." in client.page(way_out).words
    assert refused(app) == []


def test_a_button_refuses_mail(app: Flask, client: PageClient, way_out: str) -> None:
    assert client.submit(way_out).status_code == 200
    assert refused(app) == ["ana@x.org"]


def test_a_mail_program_refuses_by_one_click(app: Flask, way_out: str) -> None:  # RFC 8058
    answer = app.test_client().post(way_out, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert refused(app) == ["ana@x.org"]


def test_a_forged_way_out_leads_nowhere(app: Flask, client: PageClient, way_out: str) -> None:
    assert client.post(way_out[:-1]).status_code == 404
    assert refused(app) == []


def test_the_way_out_speaks_the_language_of_the_mail(
    app: Flask, client: PageClient, batch: str
) -> None:
    with app.app_context():
        db.session.execute(sa.update(Batch).values(language="id"))
        db.session.commit()
        about = db.session.scalars(sa.select(Mail.about_id)).first()
        assert about is not None
        url = unsubscribe.url(about).removeprefix("http://localhost")
    assert "Berhenti menerima surel?" in client.page(url).words
