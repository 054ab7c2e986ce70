"""Import and export commands."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

import click
from flask import Flask

from portal.clock import utcnow
from portal.config import settings
from portal.domain.accounts import accounts
from portal.domain.batches import batches
from portal.domain.client import COMMAND_LINE
from portal.domain.errors import PortalError
from portal.domain.exports import exports
from portal.domain.exports.exports import Format, Wanted
from portal.domain.imports import preview, uploads
from portal.domain.imports.preview import Kind
from portal.domain.imports.uploads import Mailing
from portal.domain.invitations.invitations import Terms
from portal.domain.invitations.listing import Query
from portal.models import Account, Batch, BatchState, Status

REPORTED = 500  # preview rows to read at a time
TITLES = {
    Kind.GOOD: "good",
    Kind.BAD: "with a problem",
    Kind.DUPLICATE: "duplicates",
    Kind.INVITED: "already invited",
}


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--by", "username", required=True, help="Who invites: a username.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--name", help="The name of the batch; else that of the file.")
@click.option("--label", default="", help="The label of rows without one.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long they are valid.")
@click.option("--uses", type=click.IntRange(1, 1_000_000), default=1, help="Devices each admits.")
@click.option("--mail", "mailed", is_flag=True, help="Send everybody their invitation by e-mail.")
@click.option("--again", is_flag=True, help="Invite those again who were invited before.")
def import_file(  # noqa: PLR0917 - options are arguments
    file: IO[bytes],
    username: str,
    dry_run: bool,
    name: str | None,
    label: str,
    days: int | None,
    uses: int,
    mailed: bool,
    again: bool,
) -> None:
    """Invite everybody in FILE (CSV or XLSX; - is standard input)."""
    now = utcnow()
    ends = now + timedelta(days=days or settings.invitation_days)
    terms = Terms(label=label, max_uses=uses, expires_at=ends)
    called = name or Path(file.name).stem
    try:
        by = _account(username)
        batch = _read(file, terms, called, mailed, by)
        _report(batch)
        if dry_run:
            preview.discard(batch, by=by, origin=COMMAND_LINE, now=now)
            return
        issued = preview.confirm(
            batch, by=by, origin=COMMAND_LINE, now=utcnow(), invite_again=again
        )
        batches.complete(batch.id, origin=COMMAND_LINE, now=utcnow())
    except PortalError as refusal:
        raise click.ClickException(str(refusal)) from refusal
    click.echo(f"{issued:,} invitations issued.", err=True)


@click.command("export")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice([status.value for status in Status])
)
@click.option("--format", "kind", type=click.Choice([kind.value for kind in Format]), default="csv")
@click.option("--codes", is_flag=True, help="With the codes; needs --by.")
@click.option("--by", "username", help="Who takes them: a username.")
def export_history(statuses: tuple[str, ...], kind: str, codes: bool, username: str | None) -> None:
    """Write the invitations to standard output."""
    query = Query(statuses=tuple(map(Status, statuses)))
    wanted = Wanted(query=query, with_codes=codes)
    try:
        by, now = _account(username) if username else None, utcnow()
        pieces = exports.export(wanted, Format(kind), by=by, origin=COMMAND_LINE, now=now)
        without_code = exports.withheld(wanted, by=by, now=now) if by and codes else 0
    except PortalError as refusal:
        raise click.ClickException(str(refusal)) from refusal
    if without_code:
        rows = "1 row has" if without_code == 1 else f"{without_code:,} rows have"
        click.echo(f"{rows} no code: {username} may not read it.", err=True)
    for piece in pieces:
        sys.stdout.buffer.write(piece)


def init_app(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(import_file)
    app.cli.add_command(export_history)


def _account(username: str) -> Account:
    account = accounts.find(username)
    if account is None:
        raise click.BadParameter("There is no such account.", param_hint="--by")
    return account


def _read(file: IO[bytes], terms: Terms, name: str, mailed: bool, by: Account) -> Batch:
    """Read the import to its end; raises `ClickException` if that fails."""
    batch = uploads.receive(
        file,
        terms,
        name=name[:120],
        mailing=Mailing(mailed=mailed),
        by=by,
        origin=COMMAND_LINE,
        now=utcnow(),
    )
    while batch.state is BatchState.READING:
        uploads.read(batch.id, clock=utcnow, at_most=uploads.MOST_ROWS)
        batch = batches.get(batch.id, by=by)
    if batch.state is BatchState.FAILED:
        raise click.ClickException(batch.error or "The file could not be read.")
    return batch


def _report(batch: Batch) -> None:
    """Print every skipped row, then the number of rows of each kind."""
    for kind in (Kind.BAD, Kind.DUPLICATE):
        for number, problem in _problems(batch, kind):
            click.echo(f"line {number}: {problem}", err=True)
    for kind, count in preview.counts(batch).items():
        click.echo(f"{count:,} {TITLES[kind]}", err=True)


def _problems(batch: Batch, kind: Kind) -> Iterator[tuple[int, str]]:
    after: int | None = 0
    while after is not None:
        page = preview.rows(batch, kind, size=REPORTED, after=after)
        yield from ((row.number, row.problem or "") for row in page.rows)
        after = page.next
