"""The doctor's findings."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The condition of a part of the portal."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One checked part: its condition in a sentence and, unless it is good, advice."""

    part: str
    level: Level
    sentence: str
    advice: str = ""


def good(part: str, sentence: str) -> Finding:
    """A finding with nothing to do."""
    return Finding(part, Level.GOOD, sentence)


def warn(part: str, sentence: str, advice: str) -> Finding:
    """A finding that works, but could be better."""
    return Finding(part, Level.WARN, sentence, advice)


def bad(part: str, sentence: str, advice: str) -> Finding:
    """A finding that something is wrong."""
    return Finding(part, Level.BAD, sentence, advice)
