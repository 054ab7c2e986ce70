"""`flask doctor`."""

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.extensions import db
from portal.models import Installation

pytestmark = pytest.mark.usefixtures("context")


def test_a_portal_that_works_ends_with_status_0(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["doctor"])

    assert result.exit_code == 0
    assert "GOOD  Database: " in result.output
    assert "WARN  Mail: No mail server is set. Mails wait in the portal: 0." in result.output
    assert "      → Set MAIL_URL, or hand the mails on yourself." in result.output


def test_a_portal_with_something_wrong_ends_with_status_1(app: Flask) -> None:
    db.session.execute(sa.update(Installation).values(key_check=b"of another secret key"))
    db.session.commit()

    result = app.test_cli_runner().invoke(args=["doctor"])

    assert result.exit_code == 1
    assert "BAD   Secret key: " in result.output


@pytest.mark.parametrize("settings_changes", [{"mail_url": "smtp://127.0.0.1:1"}])
def test_a_test_mail_can_be_asked_for(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["doctor", "--mail-to", "olivia@example.org"])

    assert result.exit_code == 1
    assert "BAD   Test mail: The mail server did not take it: " in result.output


def test_without_a_mail_server_there_is_nothing_to_test(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["doctor", "--mail-to", "olivia@example.org"])

    assert result.exit_code == 0
    assert "WARN  Test mail: There is no mail server to try." in result.output
