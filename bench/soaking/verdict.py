"""Compares the final database with the responses the clients got."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from bench.soaking.parts import Mailbox
from bench.soaking.traffic import Memory
from portal.domain.audit import chain
from portal.domain.invitations import codes
from portal.extensions import db
from portal.models import Invitation, Mail, MailState, Redemption

GROWTH = 10.0  # megabytes a worker may grow between the second fifth and the last
KILLS = 1  # of the worker that sends mail: each may send one message twice


@dataclass
class Report:
    """The findings, in lines of Markdown."""

    facts: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing was wrong."""
        return not self.wrong

    def text(self) -> str:
        """The whole page."""
        found = [f"- **Wrong:** {sentence}" for sentence in self.wrong] or ["- Nothing was wrong."]
        lines = ["# Soak", "", *self.facts, "", *found, "", *self.tables]
        return "\n".join(lines) + "\n"


def wait_for_mails(patience: float) -> None:
    """Wait until the outbox is empty: mails that met an outage are due again a minute later."""
    deadline = time.monotonic() + patience
    waiting = sa.select(sa.func.count()).where(Mail.state == MailState.WAITING)
    while db.session.scalar(waiting) and time.monotonic() < deadline:
        db.session.rollback()
        time.sleep(1)


def judge(
    memory: Memory,
    mailbox: Mailbox,
    faults: list[tuple[float, str]],
    megabytes: list[float],
    *,
    minutes: float,
    capacity: float,
    rate: float,
) -> Report:
    """Compare both sides."""
    today = datetime.now(UTC).date()
    report = Report()
    half, most = (_milliseconds(memory, percent) for percent in (50, 99))
    report.facts = [
        f"`bench/soak --minutes {minutes:g}`, {today}.",
        "Two gunicorn workers on Postgres and Redis; the clients on the same machine.",
        f"Capacity with these clients was {capacity:.0f} deeds a second; the soak did {rate:.0f}.",
        f"Half of the requests took less than {half} ms, 99 % less than {most} ms.",
    ]
    report.wrong = [*_wrong_answers(memory), *_lost_rows(memory), *_lost_mails(mailbox)]
    report.wrong += _growth(megabytes, report)
    broken = [(f"{at:.0f}", what) for at, what in faults]
    met = sorted(memory.faults.items())
    report.tables = [
        *_table("What was done", ("deed", "times"), sorted(memory.answers.items())),
        *_table("What was broken", ("second", "what"), broken),
        *_table("What clients met meanwhile, and tried again", ("fault", "times"), met),
    ]
    return report


def _wrong_answers(memory: Memory) -> Iterator[str]:
    for answer in sorted(set(memory.wrong)):
        yield f"{memory.wrong.count(answer)} times: {answer}"


def _lost_rows(memory: Memory) -> Iterator[str]:
    ledger = (
        sa.select(sa.func.count())
        .where(Redemption.invitation_id == Invitation.id)
        .scalar_subquery()
    )
    if apart := db.session.scalar(sa.select(sa.func.count()).where(Invitation.uses != ledger)):
        yield f"{apart} invitations whose ledger does not equal their counter."
    used = set(db.session.scalars(sa.select(Invitation.lookup).where(Invitation.uses == 1)))
    lost = [code for code in memory.redeemed if codes.lookup(code) not in used]
    if lost:
        yield f"{len(lost)} accepted redemptions are not in the ledger."
    issued = set(db.session.scalars(sa.select(Invitation.recipient)))
    if missing := set(memory.issued) - issued:
        yield f"{len(missing)} issued invitations are gone."
    if (broken := chain.first_broken_link()) is not None:
        yield f"The audit chain is broken at event {broken}."


def _lost_mails(mailbox: Mailbox) -> Iterator[str]:
    states = db.session.execute(sa.select(Mail.state, sa.func.count()).group_by(Mail.state))
    for state, count in states:
        if state is not MailState.SENT:
            yield f"{count} mails are {state}."
    sent = db.session.scalar(sa.select(sa.func.count()).select_from(Mail)) or 0
    if len(mailbox.taken) < sent:
        yield f"{sent - len(mailbox.taken)} mails did not arrive."
    twice = sum(count - 1 for count in mailbox.taken.values())
    if twice > KILLS:
        yield f"{twice} messages arrived once more than they should."


def _growth(megabytes: list[float], report: Report) -> Iterator[str]:
    fifth = max(1, len(megabytes) // 5)
    early = statistics.median(megabytes[fifth : 2 * fifth] or megabytes)
    late = statistics.median(megabytes[-fifth:])
    report.facts.append(f"A worker held {early:.0f} MB early on, and {late:.0f} MB in the end.")
    if late - early > GROWTH:
        yield f"Workers grew by {late - early:.0f} MB."


def _milliseconds(memory: Memory, percent: int) -> int:
    return round(statistics.quantiles(memory.seconds, n=100)[percent - 1] * 1000)


def _table(title: str, headings: tuple[str, str], rows: object) -> list[str]:
    lines = [f"| {first} | {second} |" for first, second in rows]  # type: ignore[attr-defined]
    return [f"## {title}", "", f"| {headings[0]} | {headings[1]} |", "|---|---|", *lines, ""]
