"""The command line, calling the same verbs as the pages: `flask --app wsgi …`."""

import csv
import signal
from collections.abc import Iterable
from datetime import datetime, timedelta
from threading import Event
from typing import IO
from urllib.parse import urlencode

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from portal.cli import files, operations
from portal.clock import utcnow
from portal.config import settings
from portal.domain.accounts import accounts
from portal.domain.batches import batches
from portal.domain.client import COMMAND_LINE
from portal.domain.errors import NotFound, PortalError
from portal.domain.invitations import invitations
from portal.domain.invitations.invitations import Terms
from portal.domain.mail import outbox
from portal.domain.tokens import signing
from portal.models import Invitation
from portal.ops import startup, worker

keys_commands = AppGroup("keys", help="Look after the keys that sign tokens.")
outbox_commands = AppGroup(
    "outbox", help="Do what pages leave to the worker: issue batches, send mails."
)


@click.command("create-owner")
@click.option("--email", prompt=True)
@click.option("--username", prompt=True)
@click.password_option()
def create_owner(email: str, username: str, password: str) -> None:
    """Add an owner, on a host without a browser."""
    try:
        accounts.create_owner(
            email=email, username=username, password=password, origin=COMMAND_LINE, now=utcnow()
        )
    except PortalError as refusal:
        raise click.ClickException(str(refusal)) from refusal
    click.echo(f"{username} owns this portal now.")


@click.command("issue")
@click.option("--by", "username", required=True, help="Who issues them.")
@click.option("--count", default=1, show_default=True, help="How many codes.")
@click.option("--label", default="", help="What they are found by in the history.")
@click.option("--days", type=click.IntRange(0, 3650), help="Valid for so many days; 0: for ever.")
@click.option("--uses", type=click.IntRange(0), default=1, help="Devices each admits; 0: any.")
@click.option("--csv", "file", type=click.File("w"), help="Write them to this file instead.")
def issue(  # noqa: PLR0917 - options are arguments
    username: str, count: int, label: str, days: int | None, uses: int, file: IO[str] | None
) -> None:
    """Issue codes, and print them, one a line."""
    days = settings.invitation_days if days is None else days
    now = utcnow()
    terms = Terms(
        label=label,
        expires_at=now + timedelta(days=days) if days else None,
        max_uses=uses or None,
    )
    try:
        issued = _issue(terms, username, count, now)
    except PortalError as refusal:
        raise click.ClickException(str(refusal)) from refusal
    if file:
        _write_table(issued, file)
    else:
        for invitation in issued:
            click.echo(invitations.code_of(invitation))


@outbox_commands.command("run")
@click.option("--once", is_flag=True, help="Do what is due, then stop.")
def run_outbox(once: bool) -> None:
    """Issue batches and send mails as they fall due, until told to stop."""
    startup.look_around(current_app)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker.run(stop, once=once)


@outbox_commands.command("status")
def outbox_status() -> None:
    """Say how many mails are waiting, sent and failed."""
    for state, count in outbox.counts().items():
        click.echo(f"{state}: {count}")


@keys_commands.command("rotate")
@click.option("--algorithm", type=click.Choice(list(signing.LONGEST)), help="Only this one.")
@click.option("--at-once", is_flag=True, help="What the old keys signed is refused from now on.")
def rotate_keys(algorithm: str | None, at_once: bool) -> None:
    """Sign with new keys; the old ones verify until what they signed has expired."""
    for name in [algorithm] if algorithm else signing.LONGEST:
        kid = signing.rotate(name, now=utcnow(), at_once=at_once)
        click.echo(f"{name} tokens are signed with the key {kid} now.")


def init_app(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(create_owner)
    app.cli.add_command(issue)
    app.cli.add_command(outbox_commands)
    app.cli.add_command(keys_commands)
    files.init_app(app)
    operations.init_app(app)


def _issue(terms: Terms, username: str, count: int, now: datetime) -> Iterable[Invitation]:
    """Issue a single code, or several as a batch; issued when this returns."""
    by = accounts.find(username)
    if by is None:
        raise NotFound(f"There is no account named {username}.")
    if count == 1:
        return [invitations.issue(terms, by=by, origin=COMMAND_LINE, now=now)]
    name = terms.label or "Command line"
    batch = batches.create(terms, name=name, size=count, by=by, origin=COMMAND_LINE, now=now)
    batches.complete(batch.id, origin=COMMAND_LINE, now=now)
    return batches.issued(batch.id)


def _write_table(issued: Iterable[Invitation], file: IO[str]) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["code", "link", "expires"])
    for invitation in issued:
        code = invitations.code_of(invitation)
        link = f"{settings.base_url}/?{urlencode({'code': code})}"
        ends = invitation.expires_at.isoformat() if invitation.expires_at else ""
        table.writerow([code, link, ends])
