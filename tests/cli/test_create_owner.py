"""`flask create-owner`."""

import pytest
from click.testing import Result
from flask import Flask

from portal.domain.accounts import accounts, passwords
from portal.domain.audit import audit
from portal.models import Role
from tests.factories import PASSWORD

pytestmark = pytest.mark.usefixtures("context")


def create_owner(app: Flask, *, typed: str = "", **options: str) -> Result:
    """Run the command with these options, typing what it asks for."""
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return app.test_cli_runner().invoke(args=["create-owner", *arguments], input=typed)


def test_an_owner_is_created(app: Flask) -> None:
    result = create_owner(app, email="Olivia@Example.org", username="olivia", password=PASSWORD)

    assert (result.exit_code, result.output) == (0, "olivia owns this portal now.\n")
    olivia = accounts.find("olivia@example.org")
    assert olivia is not None
    assert olivia.role is Role.OWNER
    assert passwords.fits(PASSWORD, olivia.password_hash)
    assert audit.latest(1)[0].action == "account.registered"


def test_what_is_not_given_is_asked_for_and_the_password_is_not_shown(app: Flask) -> None:
    result = create_owner(app, typed=f"olivia@example.org\nolivia\n{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert accounts.find("olivia") is not None


def test_a_second_owner_can_be_created(app: Flask) -> None:
    create_owner(app, email="olivia@example.org", username="olivia", password=PASSWORD)
    result = create_owner(app, email="oscar@example.org", username="oscar", password=PASSWORD)

    assert result.exit_code == 0
    oscar = accounts.find("oscar")
    assert oscar is not None
    assert oscar.role is Role.OWNER


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"email": "olivia"}, "This is not an e-mail address."),
        ({"username": "o l"}, "A username has up to 32 letters"),
        ({"password": "short"}, "A password has at least 8 characters."),
        ({"email": "OSCAR@example.org"}, "An account with this e-mail or username exists already."),
    ],
)
def test_a_refusal_is_one_sentence_and_creates_nobody(
    app: Flask, changes: dict[str, str], sentence: str
) -> None:
    create_owner(app, email="oscar@example.org", username="oscar", password=PASSWORD)
    olivia = {"email": "olivia@example.org", "username": "olivia", "password": PASSWORD}

    result = create_owner(app, **(olivia | changes))

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {sentence}")
    assert accounts.find("olivia") is None
