"""The settings of the portal, and the only reader of the environment.

`load()` turns the environment (and `.env`, in development) into one frozen, typed `Settings`; a bad
value stops the start with one clear sentence. `settings` is the `Settings` of the running app.
"""

import os
import secrets
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self, cast
from urllib.parse import urlsplit

from flask import current_app
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from werkzeug.local import LocalProxy

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = ROOT / "instance"
SHORTEST_SECRET = 32


class Settings(BaseSettings):
    """All settings, named like their environment variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    secret_key: SecretStr = SecretStr("")
    secret_key_fallbacks: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    database_url: SecretStr = SecretStr("")
    redis_url: SecretStr = SecretStr("")
    public_url: str = ""
    trusted_proxies: int = Field(default=0, ge=0, le=8)
    port: int = Field(default=8000, ge=1, le=65535)
    web_concurrency: int = Field(default=2, ge=1, le=256)  # gunicorn.conf.py reads it itself

    admin_registration: Literal["first", "open", "invite"] = "first"
    member_registration: Literal["open", "invite", "closed"] = "open"
    password_min_length: int = Field(default=8, ge=6, le=64)

    recipient_proof: Literal["required", "typed"] = "required"
    invitation_days: int = Field(default=7, ge=1, le=3650)
    lockout_attempts: int = Field(default=3, ge=1, le=100)
    lockout_minutes: int = Field(default=30, ge=1, le=1440)
    address_misses_per_hour: int = Field(default=100, ge=1, le=100_000)

    flood_limit: str = "1200 per minute"

    mail_url: SecretStr = SecretStr("")
    mail_from: str = ""
    bulk_mails_per_minute: int = Field(default=300, ge=1, le=100_000)
    invitation_requests: bool = False
    jwt_issuer: str = "apps1.0"
    jwt_audience: str = "portal"
    metrics_token: SecretStr = SecretStr("")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    site_name: str = Field(default="Invitation Portal", min_length=1, max_length=80)
    welcome_text: str = "You are in. We are glad you came."
    welcome_url: str = ""
    locale: Literal["en", "id"] = "en"

    @field_validator("secret_key_fallbacks", mode="before")
    @classmethod
    def _split_on_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("database_url", mode="before")
    @classmethod
    def _name_the_driver(cls, value: object) -> object:
        """Name psycopg 3 as driver; Heroku says postgres://, which SQLAlchemy 2.1 rejects."""
        if isinstance(value, str):
            for scheme in ("postgres://", "postgresql://"):
                if value.startswith(scheme):
                    return "postgresql+psycopg://" + value.removeprefix(scheme)
        return value

    @field_validator("public_url", "welcome_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be a full address such as https://invite.example.org")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _production_is_complete(self) -> Self:
        secret = self.secret_key.get_secret_value()
        if secret and len(secret) < SHORTEST_SECRET:
            raise ValueError(f"SECRET_KEY must have at least {SHORTEST_SECRET} characters")
        former = (key.get_secret_value() for key in self.secret_key_fallbacks)
        if any(len(each) < SHORTEST_SECRET for each in former):
            raise ValueError(
                f"SECRET_KEY_FALLBACKS must each have at least {SHORTEST_SECRET} characters"
            )
        if "," in secret or secret != secret.strip():
            raise ValueError("SECRET_KEY must have no commas, and no spaces around it")
        if not self.sqlalchemy_url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("DATABASE_URL must begin with postgresql:// or sqlite:///")
        if not self.embedded and not secret:
            raise ValueError("SECRET_KEY must be set when DATABASE_URL is")
        if not self.embedded and not self.public_url:
            raise ValueError("PUBLIC_URL must be set when DATABASE_URL is")
        return self

    @property
    def recipients_are_proven(self) -> bool:
        """Whether bound invitations need more than a typed address, which takes mail."""
        return self.recipient_proof == "required" and bool(self.mail_url.get_secret_value())

    @property
    def embedded(self) -> bool:
        """Whether the portal runs on its own SQLite file, without other services."""
        return not self.database_url.get_secret_value()

    @property
    def sqlalchemy_url(self) -> str:
        """The database URL for SQLAlchemy."""
        return self.database_url.get_secret_value() or f"sqlite:///{INSTANCE / 'portal.db'}"

    @property
    def limiter_url(self) -> str:
        """The storage of rate-limit counters: Redis if configured, else this process."""
        return self.redis_url.get_secret_value() or "memory://"

    @property
    def base_url(self) -> str:
        """The public URL without a trailing slash; never taken from a request."""
        return self.public_url or f"http://127.0.0.1:{self.port}"

    @property
    def https(self) -> bool:
        """Whether the portal is served over HTTPS (cookies are then Secure and __Host-)."""
        return self.base_url.startswith("https://")

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """The secret in use, followed by its fallbacks."""
        return tuple(
            key.get_secret_value() for key in (self.secret_key, *self.secret_key_fallbacks)
        )


def load() -> Settings:
    """Read the environment; exits with one actionable sentence if a value is bad."""
    try:
        chosen = Settings(_env_file=ROOT / ".env")
    except ValidationError as error:
        raise SystemExit(f"The portal cannot start: {_sentence(error)}.") from None
    if chosen.secret_key.get_secret_value():
        return chosen
    return chosen.model_copy(update={"secret_key": SecretStr(_embedded_secret())})


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    name = "".join(str(part) for part in first["loc"][:1]).upper()
    return f"{name}: {reason}" if name else reason


def _embedded_secret() -> str:
    """The secret of an embedded portal: generated once, readable by its owner only."""
    INSTANCE.mkdir(exist_ok=True)
    path = INSTANCE / "secret_key"
    if not path.exists():
        # Written to a temporary file, then linked: atomic, whatever other processes do.
        descriptor, aside = tempfile.mkstemp(dir=INSTANCE)  # mode 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            path.hardlink_to(aside)
        Path(aside).unlink()
    return path.read_text()


def current_settings() -> Settings:
    """The running app's `Settings`, without the cost of the proxy `settings`."""
    found: Settings = current_app.extensions["portal.settings"]
    return found


settings = cast(Settings, LocalProxy(current_settings))
