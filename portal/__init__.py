"""The Invitation Portal: `create_app` assembles the app."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import api, cli, config, web
from portal.config import ROOT, Settings
from portal.db import engine, schema
from portal.domain.lockout import counters
from portal.extensions import csrf, db, mail
from portal.http import assets, errors, fetch_metadata, filters, guards, headers, logs, metrics
from portal.http.app import Portal
from portal.http.rate_limit import limiter
from portal.mail import delivery

# Their hooks run in this order before each request, and in reverse after it.
PARTS = (
    logs,
    metrics,
    fetch_metadata,
    limiter,
    engine,
    schema,
    errors,
    guards,
    headers,
    assets,
    filters,
    api,
    web,
    cli,
)


def create_app(settings: Settings | None = None) -> Flask:
    """Create the WSGI application, from `settings` or else from the environment."""
    settings = settings or config.load()
    app = Portal(
        __name__,
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
        instance_path=str(config.INSTANCE),
    )
    app.extensions["portal.settings"] = settings
    app.config.from_mapping(_flask_config(settings))
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    for extension in (db, csrf, mail):
        extension.init_app(app)
    for part in PARTS:
        part.init_app(app)
    counters.use(type(limiter.limiter))
    return app


def _flask_config(settings: Settings) -> dict[str, object]:
    return {
        "SECRET_KEY": settings.secrets[0],
        "SECRET_KEY_FALLBACKS": list(settings.secrets[1:]),
        # The last key signs: forms left open while the key was replaced can still be submitted.
        "WTF_CSRF_SECRET_KEY": list(reversed(settings.secrets)),
        "SQLALCHEMY_DATABASE_URI": settings.sqlalchemy_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine.engine_options(settings),
        "RATELIMIT_STORAGE_URI": settings.limiter_url,
        "RATELIMIT_DEFAULT": settings.flood_limit,
        "RATELIMIT_SWALLOW_ERRORS": True,
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        **headers.flask_config(settings),
        **delivery.flask_config(settings),
    }
