"""One export of everything, by the portal or by the bare driver, in a process of its own.

`python -m bench.export_once ours|theirs DATABASE_URL` prints its duration and peak memory.
"""

import json
import os
import sqlite3
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.seeding import in_process
from portal.domain.audit.audit import NOBODY
from portal.domain.exports import exports

SAME = """
    SELECT i.recipient, i.recipient_name, i.label, a.username, b.name, i.max_uses, i.expires_at,
        i.language, i.uses, i.starts_at, i.created_at, i.mailed_at, i.opened_at, i.revoked_at,
        i.hint
    FROM invitation i
    JOIN account a ON a.id = i.created_by_id
    LEFT JOIN batch b ON b.id = i.batch_id
    ORDER BY i.id DESC"""


def ours(url: str) -> float:
    """Export the portal's CSV to nowhere; return the seconds it took."""
    app = in_process(url)
    with app.app_context(), Path(os.devnull).open("wb") as nowhere:
        began, now = time.perf_counter(), datetime.now(UTC)
        wanted = exports.Wanted(query=exports.Query())
        nowhere.writelines(
            exports.export(wanted, exports.Format.CSV, by=None, origin=NOBODY, now=now)
        )
        return time.perf_counter() - began


def theirs(url: str) -> float:
    """Read the same rows in the same order with the driver; return the seconds it took."""
    began = time.perf_counter()
    if url.startswith("sqlite"):
        cursor = sqlite3.connect(url.removeprefix("sqlite:///")).execute(SAME)
    else:
        cursor = psycopg.connect(url).cursor("export")  # server-side: not all rows at once
        cursor.execute(SAME)
    while cursor.fetchmany(1_000):
        pass
    return time.perf_counter() - began


def peak() -> float:
    """This process' peak memory in megabytes. (`getrusage` would include its parent's.)"""
    [line] = [
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    ]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    which, url = sys.argv[1:]
    seconds = {"ours": ours, "theirs": theirs}[which](url)
    print(json.dumps({"seconds": seconds, "megabytes": peak()}))
