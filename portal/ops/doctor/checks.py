"""The doctor's checks, for the page and the command alike."""

import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from portal.config import INSTANCE, settings
from portal.db import engine, schema
from portal.domain.mail import outbox
from portal.domain.operations import installation, worker_tasks
from portal.extensions import db
from portal.models import MailState
from portal.ops.doctor.findings import Finding, bad, good, warn
from portal.ops.gunicorn_worker import room_for_connections

PATIENCE = 2.0  # seconds
STUCK_AFTER = timedelta(minutes=15)
BACKUP_EVERY = timedelta(days=7)
PRUNED_EVERY = timedelta(days=2)
OLD_KEY = timedelta(days=730)
CLOCKS_APART = timedelta(seconds=5)
MEGABYTE = 1024 * 1024
CONNECTIONS, FEW_CONNECTIONS = 1000, 500  # of a web process; gunicorn's default is the maximum
SCARCE, TIGHT = 200 * MEGABYTE, 1024 * MEGABYTE
TRY_THE_WORKER = 'Keep "flask --app wsgi outbox run" running beside the server.'


def examine(*, now: datetime) -> list[Finding]:
    """Check every part; without a database, only what needs none."""
    findings = [_address(), _connections(), _counters()]
    try:
        findings += [_database(), _migrations()]
        if schema.is_newest():
            findings += [look(now) for look in _LOOKS_AT_ROWS]
    except SQLAlchemyError as error:
        db.session.rollback()
        reason = f"The database does not answer: {type(error).__name__}."
        findings.append(bad("Database", reason, "Check DATABASE_URL, and whether it runs."))
    return findings


def _address() -> Finding:
    local = settings.base_url.startswith(("http://127.0.0.1", "http://localhost"))
    if not settings.https and not local:
        return bad(
            "Public address",
            f"People reach the portal at {settings.base_url}: codes and passwords travel in clear.",
            "Put a proxy with HTTPS in front, and set PUBLIC_URL to its https:// address.",
        )
    if not settings.public_url:
        return warn(
            "Public address",
            f"PUBLIC_URL is not set: links in mails lead to {settings.base_url}, and any host name "
            "is answered.",
            "Set PUBLIC_URL before anybody but you uses the portal.",
        )
    return good("Public address", f"People reach the portal at {settings.base_url}.")


def _connections() -> Finding:
    """The room left for idle clients (case 84)."""
    part = "Slow clients"
    room = room_for_connections(CONNECTIONS)
    if room < FEW_CONNECTIONS:
        return warn(
            part,
            f"A web process started like this one has room for {room} connections, because of its "
            "limit of open files: a crowd of idle clients can push others out.",
            'Raise that limit (ulimit -n 4096, or "LimitNOFILE=4096" of systemd), or put a proxy '
            "in front that buffers requests, such as nginx.",
        )
    return good(
        part,
        f"A web process has room for {room} connections, and lets none that stalls hold a thread. "
        "A proxy that buffers requests, such as nginx, adds room for thousands.",
    )


def _counters() -> Finding:
    part = "Shared counters"
    url = settings.redis_url.get_secret_value()
    if url:
        from redis import Redis, RedisError  # noqa: PLC0415 - slow to load

        try:
            with Redis.from_url(
                url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
            ) as redis:
                redis.ping()
        except RedisError as error:
            return bad(
                part,
                f"Redis does not answer ({type(error).__name__}): each process counts floods for "
                "itself. The lockout holds, it is in the database.",
                "Start Redis, or correct REDIS_URL.",
            )
        return good(part, "All processes count floods together in Redis, tries in the database.")
    if settings.web_concurrency > 1:
        return warn(
            part,
            f"{settings.web_concurrency} processes count floods each for themselves. The lockout "
            "is shared all the same, it is in the database.",
            "To share the flood limits too, set REDIS_URL.",
        )
    return good(part, "One process counts floods in its memory, tries in the database.")


def _database() -> Finding:
    db.session.execute(sa.select(1))
    if path := _file():
        return good("Database", f"SQLite answers, in {path}.")
    if engine.is_direct(db.session.connection().connection.dbapi_connection):
        return good("Database", "Postgres answers, directly.")
    return good(
        "Database",
        "Postgres answers. A pooler stands between the portal and Postgres: statements are not "
        "prepared, and nothing is left behind on a connection, so transaction mode is fine.",
    )


def _migrations() -> Finding:
    if schema.is_newest():
        return good("Tables", f"They are the newest ({schema.newest()}).")
    return bad("Tables", "They are of another version.", 'Run "flask --app wsgi db upgrade".')


def _key(now: datetime) -> Finding:
    part = "Secret key"
    if not installation.recognise_key(now=now):
        return bad(part, installation.FOREIGN_KEY, "Find the key that belongs to this database.")
    file = INSTANCE / "secret_key"
    if settings.embedded and file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
        return bad(part, f"Others on this machine can read {file}.", f'Run "chmod 600 {file}".')
    since = installation.get().key_since or now
    former = len(settings.secrets) - 1
    said = f"Fingerprint {installation.fingerprint()}, in use for {(now - since).days} days"
    said += f"; {former} former still open what they sealed." if former else "."
    if now - since > OLD_KEY:
        advice = "Put a new SECRET_KEY in its place, and this one into SECRET_KEY_FALLBACKS."
        return warn(part, said, advice)
    return good(part, said)


def _clock(now: datetime) -> Finding:
    if db.engine.dialect.name != "postgresql":
        return good("Clock", "The database goes by this machine's own.")
    theirs: datetime = db.session.scalar(sa.text("SELECT clock_timestamp()")) or now
    apart = abs(datetime.now(UTC) - theirs)
    if apart > CLOCKS_APART:
        return bad(
            "Clock",
            f"This machine and its database are {apart.total_seconds():.0f} seconds apart: codes "
            "and lockouts end at the wrong moment.",
            "Let both machines keep time by NTP.",
        )
    return good("Clock", "This machine and its database agree.")


def _disk(_now: datetime) -> Finding:
    path = _file()
    if path is None:
        return good("Disk", "Postgres keeps its own.")
    free = shutil.disk_usage(path.parent).free
    said = f"{free // MEGABYTE:,} MB are free where the database is."
    if free < SCARCE:
        return bad("Disk", said, "Make room now: without it nothing can be written.")
    if free < max(TIGHT, 2 * path.stat().st_size):
        return warn("Disk", said, "Make room: a backup needs as much as the database has.")
    return good("Disk", said)


def _backup(now: datetime) -> Finding:
    if _file() is None:
        return good("Backup", "Postgres is backed up by its own tools (docs/operations.md).")
    last = installation.get().backed_up_at
    advice = 'Run "flask --app wsgi backup FILE" every day, and keep SECRET_KEY elsewhere.'
    if last is None:
        return warn("Backup", "There has never been one.", advice)
    said = f"The last one was made {_ago(now - last)}."
    return warn("Backup", said, advice) if now - last > BACKUP_EVERY else good("Backup", said)


def _mail(now: datetime) -> Finding:
    counts = outbox.counts()
    waiting, failed = counts[MailState.WAITING], counts[MailState.FAILED]
    if not settings.mail_url.get_secret_value():
        said = f"No mail server is set. Mails wait in the portal: {waiting}."
        return warn("Mail", said, "Set MAIL_URL, or hand the mails on yourself.")
    if outbox.is_overdue(STUCK_AFTER, now=now):
        return bad("Mail", f"{waiting} wait, some for too long: no worker runs.", TRY_THE_WORKER)
    if failed:
        said = f"{failed} could not be sent."
        return warn("Mail", said, "Read the reasons on the page Mails, and send them again.")
    return good("Mail", f"{waiting} wait, none failed.")


def _tasks(_now: datetime) -> Finding:
    part = "Worker's tasks"
    troubled = worker_tasks.troubled()
    aside = sum(task.set_aside_at is not None for task in troubled)
    if aside:
        return bad(
            part,
            f"{aside} set aside: each stopped its worker {worker_tasks.MOST_DEATHS} times in a row."
            " All others go on.",
            "Look in the worker's log, then resume them on the page Doctor.",
        )
    if troubled:
        kinds = ", ".join(sorted({task.kind for task in troubled}))
        said = f"Some fail again and again ({kinds}), and are tried more and more seldom."
        return warn(part, said, "Look in the worker's log.")
    return good(part, "None was set aside.")


def _retention(now: datetime) -> Finding:
    about = installation.get()
    last = about.pruned_at or about.owned_since or now
    if now - last > PRUNED_EVERY:
        said = f"Old addresses and sessions were last removed {_ago(now - last)}."
        if about.pruned_at is None:
            said = "Old addresses and sessions have never been removed."
        return warn("Retention", said, TRY_THE_WORKER)
    return good("Retention", "What is to be forgotten is removed every day.")


_LOOKS_AT_ROWS: list[Callable[[datetime], Finding]] = [
    _key,
    _clock,
    _disk,
    _backup,
    _mail,
    _tasks,
    _retention,
]


def _file() -> Path | None:
    """The database file; None on Postgres."""
    url = db.engine.url
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _ago(span: timedelta) -> str:
    if span < timedelta(days=2):
        hours = int(span.total_seconds() // 3600)
        return "less than an hour ago" if not hours else f"{hours} hours ago"
    return f"{span.days} days ago"
