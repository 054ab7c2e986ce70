"""The settings: what is refused is refused at the start, in one sentence."""

import os
from pathlib import Path

import pytest

from portal import config
from portal.config import Settings

SECRET = "s" * 32
PRODUCTION = {
    "SECRET_KEY": SECRET,
    "DATABASE_URL": "postgres://portal:pass@db.example.org/portal",
    "PUBLIC_URL": "https://invite.example.org",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty environment, and a folder of its own for what the portal writes."""
    names = {name.upper() for name in Settings.model_fields}
    for name in [name for name in os.environ if name.upper() in names]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(config, "ROOT", tmp_path)
    monkeypatch.setattr(config, "INSTANCE", tmp_path / "instance")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """Start with these variables."""

    def start(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return config.load()

    return start


def production_without(*names: str) -> dict[str, str]:
    """A complete production, less these variables."""
    return {name: value for name, value in PRODUCTION.items() if name not in names}


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"SECRET_KEY": "s" * 31}, "SECRET_KEY must have at least 32 characters"),  # case 38
        (PRODUCTION | {"SECRET_KEY": "dev"}, "SECRET_KEY must have at least 32 characters"),
        (production_without("SECRET_KEY"), "SECRET_KEY must be set when DATABASE_URL is"),
        (production_without("PUBLIC_URL"), "PUBLIC_URL must be set when DATABASE_URL is"),
        (
            PRODUCTION | {"DATABASE_URL": "mysql://h/d"},
            "DATABASE_URL must begin with postgresql://",
        ),
        (PRODUCTION | {"SECRET_KEY": "x, " * 20}, "SECRET_KEY must have no commas"),
        ({"PUBLIC_URL": "invite.example.org"}, "PUBLIC_URL: must be a full address"),
        ({"PUBLIC_URL": "ftp://example.org"}, "PUBLIC_URL: must be a full address"),
        ({"PUBLIC_URL": "https://"}, "PUBLIC_URL: must be a full address"),
        ({"WELCOME_URL": "javascript:alert(1)"}, "WELCOME_URL: must be a full address"),
        ({"PORT": "eighty"}, "PORT: Input should be a valid integer"),
        ({"PORT": "65536"}, "PORT: Input should be less than or equal to 65535"),
        ({"LOCKOUT_ATTEMPTS": "0"}, "LOCKOUT_ATTEMPTS: Input should be greater than"),
        ({"LOCKOUT_MINUTES": "0.5"}, "LOCKOUT_MINUTES: Input should be a valid integer"),
        ({"TRUSTED_PROXIES": "-1"}, "TRUSTED_PROXIES: Input should be greater than"),
        ({"PASSWORD_MIN_LENGTH": "1"}, "PASSWORD_MIN_LENGTH: Input should be greater than"),
        ({"ADMIN_REGISTRATION": "everyone"}, "ADMIN_REGISTRATION: Input should be 'first'"),
        ({"LOCALE": "fr"}, "LOCALE: Input should be 'en' or 'id'"),
    ],
)
def test_a_bad_value_stops_the_start_with_one_sentence(
    load, variables: dict[str, str], reason: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        load(**variables)

    sentence = str(stop.value.code)
    assert sentence.startswith(f"The portal cannot start: {reason}")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_refusal_does_not_tell_the_secret(load) -> None:
    with pytest.raises(SystemExit) as stop:
        load(SECRET_KEY="a-short-secret")

    assert "a-short-secret" not in str(stop.value.code)


def test_the_settings_do_not_show_their_secrets(load) -> None:
    shown = repr(load(**PRODUCTION, MAIL_URL="smtp://user:mailpass@mail.example.org"))

    assert SECRET not in shown
    assert "portal:pass" not in shown
    assert "mailpass" not in shown


def test_a_complete_production_starts(load) -> None:
    settings = load(**PRODUCTION)

    assert not settings.embedded
    assert settings.base_url == "https://invite.example.org"
    assert settings.https
    assert settings.secrets == (SECRET,)
    assert not config.INSTANCE.exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_name_of_postgres_means_the_driver_we_have(load, scheme: str) -> None:
    settings = load(**PRODUCTION | {"DATABASE_URL": f"{scheme}://u:p@db.example.org/portal"})

    assert settings.sqlalchemy_url == "postgresql+psycopg://u:p@db.example.org/portal"


def test_with_nothing_set_the_portal_runs_on_its_own_file(load) -> None:
    settings = load()

    assert settings.embedded
    assert settings.sqlalchemy_url == f"sqlite:///{config.INSTANCE}/portal.db"
    assert settings.limiter_url == "memory://"
    assert settings.base_url == "http://127.0.0.1:8000"
    assert not settings.https
    assert settings.lockout_attempts == 3
    assert settings.lockout_minutes == 30


def test_an_empty_value_is_as_none(load) -> None:
    everything = {name.upper(): "" for name in Settings.model_fields}

    assert load(**everything).model_copy(update={"secret_key": ""}) == load().model_copy(
        update={"secret_key": ""}
    )


def test_an_embedded_secret_is_made_once_and_is_its_owners_alone(load) -> None:
    first, second = load(), load()

    path = config.INSTANCE / "secret_key"
    assert first.secrets == second.secrets == (path.read_text(),)
    assert len(first.secrets[0]) >= config.SHORTEST_SECRET
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_embedded_portals_have_two_secrets(
    load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = load()
    monkeypatch.setattr(config, "INSTANCE", tmp_path / "another")

    assert load().secrets != one.secrets


def test_a_secret_that_was_set_is_not_replaced_by_an_embedded_one(load) -> None:
    assert load(SECRET_KEY=SECRET).secrets == (SECRET,)
    assert not config.INSTANCE.exists()


def test_replaced_secrets_follow_the_one_in_use(load) -> None:
    settings = load(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=f"{'a' * 32}, {'b' * 32},")

    assert settings.secrets == (SECRET, "a" * 32, "b" * 32)


def test_a_short_replaced_secret_is_refused(load) -> None:  # case 38
    with pytest.raises(SystemExit, match="SECRET_KEY_FALLBACKS must each have at least 32"):
        load(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=f"{'a' * 32}, {'b' * 31}")


def test_in_development_the_env_file_is_read_and_the_environment_goes_first(
    load, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SITE_NAME=From the file\nPORT=8001\nUNKNOWN_TO_US=1\n")

    settings = load(PORT="8002")

    assert (settings.site_name, settings.port) == ("From the file", 8002)


def test_a_public_address_has_no_slash_at_its_end(load) -> None:
    assert load(PUBLIC_URL="https://invite.example.org/").base_url == "https://invite.example.org"


def test_settings_cannot_be_changed_while_the_portal_runs(load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1
