"""A CSV export of everything, against the bare driver that reads the same rows in the same order.

Each runs in a process of its own to measure its memory; creating the app is not measured.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from bench import report
from bench.engines import Engine
from bench.report import Ratio
from bench.seeding import Seed

ROWS = 1_000_000
TARGET = 0.3  # of the driver's speed
MOST_MEMORY = 150  # megabytes, resident


def run(engines: Sequence[Engine], *, rows: int, rounds: int) -> None:
    """Measure, and publish a table."""
    lines = []
    for engine in engines:
        url = Seed(engine, rows, 1).copy("exports")
        turns = [(_once("theirs", url), _once("ours", url)) for _ in range(rounds)]
        speed = Ratio(
            [1 / ours["seconds"] for _, ours in turns],
            [1 / theirs["seconds"] for theirs, _ in turns],
            TARGET,
        )
        peak = max(ours["megabytes"] for _, ours in turns)
        verdict = "ok" if peak < MOST_MEMORY else f"MISSES {MOST_MEMORY}"
        lines.append((engine.name, f"{rows:,}", speed, f"{peak:.0f} MB {verdict}"))
    table = report.table(("engine", "rows", "speed of the driver's", "memory at most"), lines)
    report.publish("exports", f"## A CSV export of everything\n\n{table}")


def _once(which: str, url: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.export_once", which, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found
