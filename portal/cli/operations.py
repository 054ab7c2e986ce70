"""Commands for operators: backups, the doctor, pruning, migrations, the audit chain."""

from pathlib import Path

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.engine import make_url

from portal.clock import utcnow
from portal.config import settings
from portal.db import schema
from portal.domain.audit import audit, chain, retention
from portal.domain.client import COMMAND_LINE
from portal.domain.errors import PortalError
from portal.domain.operations import installation
from portal.extensions import db
from portal.ops import backups, doctor
from portal.ops.doctor import Level

FILE = click.Path(dir_okay=False, path_type=Path)

audit_commands = AppGroup("audit", help="Follow the chain of the audit log.")


@click.command()
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@with_appcontext
def backup(file: Path, force: bool) -> None:
    """Back the embedded database up into FILE, while the portal runs."""
    try:
        revision = backups.write(_embedded_database(), file, overwrite=force)
    except PortalError as refusal:
        raise click.ClickException(str(refusal)) from refusal
    if revision == schema.newest():
        installation.recognise_key(now=utcnow())
        installation.note_backup(now=utcnow())
    click.echo(f"Backed up into {file}, and checked. Keep SECRET_KEY elsewhere: codes need both.")


@click.command()
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Replace the database that is there; it is kept aside.")
@with_appcontext
def restore(file: Path, force: bool) -> None:
    """Put the backup FILE in the place of the embedded database, while the portal is stopped."""
    db.engine.dispose()
    try:
        kept = backups.restore(file, _embedded_database(), now=utcnow(), overwrite=force)
    except PortalError as refusal:
        raise click.ClickException(str(refusal)) from refusal
    click.echo(f"Restored from {file}.")
    if kept:
        click.echo(f"The database that was there is kept as {kept}.")
    if not schema.is_newest():
        click.echo("Its tables are of an earlier version: run `flask --app wsgi db upgrade` now.")
        return
    if not installation.recognise_key(now=utcnow()):
        raise click.ClickException(installation.FOREIGN_KEY)
    installation.note_restoration(now=utcnow())


@click.command("doctor")
@with_appcontext
@click.option("--mail-to", metavar="ADDRESS", help="Send a test mail there, too.")
def call_doctor(mail_to: str | None) -> None:
    """Look the portal over; say of each part what to do. Status 1 if something is wrong."""
    findings = doctor.examine(now=utcnow())
    if mail_to:
        findings.append(doctor.send_test_mail(mail_to))
    for finding in findings:
        click.echo(f"{finding.level.upper():<5} {finding.part}: {finding.sentence}")
        if finding.advice:
            click.echo(f"      → {finding.advice}")
    click.echo("      The client address is on the page /admin/doctor: only a request has one.")
    if any(finding.level is Level.BAD for finding in findings):
        click.get_current_context().exit(1)


@click.command()
@with_appcontext
def prune() -> None:
    """Forget old addresses, ended sessions and what has run out, as the worker does every day."""
    for name, count in retention.prune(now=utcnow(), origin=COMMAND_LINE).items():
        click.echo(f"{name.replace('_', ' ')}: {count}")


@click.command("db", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def migrate(arguments: tuple[str, ...]) -> None:
    """Migrate the database (flask db --help says how)."""
    from flask_migrate.cli import db as commands  # noqa: PLC0415 - slow to load

    commands.main(arguments, prog_name="flask db")


@audit_commands.command("verify")
@click.option(
    "--ended", metavar="NUMBER:HASH", help="Where the chain ended once: it must lead through there."
)
def verify_audit(ended: str | None) -> None:
    """Follow the whole chain; name the first broken link, with status 1."""
    broken = chain.first_broken_link()
    if broken is not None:
        raise click.ClickException(
            f"The chain is broken at event {broken}: it, or what came before it, was changed, "
            "removed, or written by a former version or with a key that is not here any more."
        )
    if ended and not chain.leads_through(*_link(ended)):
        raise click.ClickException(f"The chain is whole, but does not lead through {ended}.")
    end = chain.end()
    click.echo(f"The chain of {end.number} events is whole. It ends at {end.number}:{end.hash}")


@audit_commands.command("vouch")
@click.confirmation_option(
    prompt="Accept all events that a former version of the portal wrote without a key?"
)
def vouch_for_audit() -> None:
    """Accept events that a former version chained without a key, while it was being replaced."""
    broken = audit.vouch(origin=COMMAND_LINE, now=utcnow())
    if broken is not None:
        raise click.ClickException(f"The chain is broken at event {broken}: nobody can vouch.")
    click.echo("The chain is whole, and every event from now on has to be keyed.")


def init_app(app: Flask) -> None:
    """Add the commands to `flask`."""
    for command in (backup, restore, call_doctor, prune, migrate, audit_commands):
        app.cli.add_command(command)


def _embedded_database() -> Path:
    url = make_url(settings.sqlalchemy_url)
    if url.get_backend_name() != "sqlite":
        raise click.ClickException(
            "This portal keeps its rows in Postgres: use pg_dump and pg_restore, as "
            "docs/operations.md shows."
        )
    return Path(url.database or "")


def _link(text: str) -> tuple[int, str]:
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise click.BadParameter("is a number, a colon and a hash.", param_hint="--ended")
    return int(number), digest
