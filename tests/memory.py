"""The peak memory of reading a file of guests, measured in a process of its own.

`python -m tests.memory rows FILE` reads it; `… import FILE --by …` runs the command of that name.
The last line is the peak in kilobytes. (`getrusage` would include its parent's.)
"""

import os
import subprocess
import sys
from pathlib import Path

from flask.cli import cli

from portal.domain.imports import tabular
from tests.servers import DEFAULTS, ROOT


def peak(*words: str, **settings: str) -> int:
    """The peak memory of this command, in kilobytes."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.memory", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | DEFAULTS | settings,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(told.stdout.splitlines()[-1])


def _read(path: str) -> None:
    with Path(path).open("rb") as file, tabular.opened(file) as rows:
        for _ in rows:
            pass


def _most_ever() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1])


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "rows":
        _read(*rest)
    else:
        cli.main(["--app", "wsgi", what, *rest], standalone_mode=False)
    sys.stdout.write(f"{_most_ever()}\n")
