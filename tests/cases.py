"""Maps the cases of the catalogue of attacks and faults (docs/security.md) to their tests.

Tests name their cases in comments: `# case 19`, `# cases 19 and 20`. `python -m tests.cases` prints
the document's table again.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "security.md"
MENTION = re.compile(r"\bcases? (\d+(?:(?:, | and )\d+)*)")
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
# A test that uses one of these needs a database.
FIXTURES = "context|app|client|database_url|behind|shared_database|olivia|alice|issue|newcomer"
ALL = set(range(1, 100)) - {58, 78, 98}  # the catalogue skips two numbers; 98 is still to come


def shown() -> dict[int, list[Path]]:
    """The files whose tests name each case."""
    found: dict[int, list[Path]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        mentions = MENTION.findall(path.read_text())
        for number in {int(digits) for text in mentions for digits in re.findall(r"\d+", text)}:
            found[number].append(path.relative_to(ROOT))
    return found


def engines(path: Path) -> str:
    """The engines a file runs on."""
    if "browser" in path.parts:
        return "SQLite, Chromium"
    if path.name == "test_sqlite.py":
        return "SQLite, 8 processes"
    source = (ROOT / path).read_text()
    if not re.search(rf"\b({FIXTURES})\b", source):
        return "none"
    if "pytest.mark.gunicorn" in source:
        return "both, gunicorn"
    return "both"


def documented() -> dict[int, tuple[str, str]]:
    """The promise and the tests in the document, by case."""
    rows = ROW.findall(DOCUMENT.read_text())
    return {int(number): (promise, tests) for number, promise, tests, _ in rows}


def table() -> str:
    """The rows of the document, with its promises and the current tests."""
    tests, lines = shown(), []
    for number, (promise, _) in sorted(documented().items()):
        paths = tests.get(number, [])
        names = ", ".join(f"`{path.relative_to('tests')}`" for path in paths) or "**none yet**"
        where = "; ".join(sorted({engines(path) for path in paths})) or "–"
        lines.append(f"| {number} | {promise} | {names} | {where} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
