"""Reports of a run, in ratios only, since absolute speed depends on the machine."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from os import cpu_count, getloadavg
from statistics import median

from bench.engines import RESULTS


@dataclass(frozen=True)
class Ratio:
    """One speed relative to another, measured in turn: the median of the rounds' ratios."""

    ours: Sequence[float]
    theirs: Sequence[float]
    target: float | None = None

    @property
    def value(self) -> float:
        """The median."""
        return median(self._rounds)

    def __str__(self) -> str:
        """`0.71 (0.68-0.74)`, marked if it misses its target."""
        spread = f"{self.value:.2f} ({min(self._rounds):.2f}-{max(self._rounds):.2f})"
        if self.target is None:
            return spread
        return f"{spread} {'ok' if self.value >= self.target else f'MISSES {self.target}'}"

    @property
    def _rounds(self) -> list[float]:
        return [our / their for our, their in zip(self.ours, self.theirs, strict=True)]


def beside(last: Ratio, first: Ratio, target: float) -> str:
    """The share of the first ratio that the last one keeps; in brackets, of our speed alone."""
    kept, alone = last.value / first.value, Ratio(last.ours, first.ours).value
    verdict = "ok" if kept >= target else f"MISSES {target}"
    return f"{kept:.2f} ({alone:.2f}) {verdict}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    return "\n".join(
        [padded[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *padded[1:]]
    )


def conditions(rounds: int, seconds: float) -> str:
    """The conditions a reader needs to judge the numbers."""
    return (
        f"Each cell: the median of {rounds} rounds of {seconds:g} s (lowest-highest), the floor and"
        f" the portal by turns, under the same gunicorn (2 workers, 4 threads), with wrk at"
        f" {cpu_count()} shared cores; Python {platform.python_version()};"
        f" load average when it ended: {getloadavg()[0]:.1f}."
    )


def publish(name: str, text: str) -> None:
    """Print the text, and save it as bench/results/<name>.md."""
    print(f"\n{text}", flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(f"{text}\n")
