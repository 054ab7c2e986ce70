"""How the doctor speaks."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a part of the portal is."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One part looked at: how it is, in a sentence; and unless it is good, what to do."""

    part: str
    level: Level
    sentence: str
    advice: str = ""


def good(part: str, sentence: str) -> Finding:
    """Nothing to do."""
    return Finding(part, Level.GOOD, sentence)


def warn(part: str, sentence: str, advice: str) -> Finding:
    """It works, and could be better."""
    return Finding(part, Level.WARN, sentence, advice)


def bad(part: str, sentence: str, advice: str) -> Finding:
    """Something is wrong."""
    return Finding(part, Level.BAD, sentence, advice)
