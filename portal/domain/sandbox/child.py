"""The child process: limits itself, then runs one decoder from standard input to output.

`python -I child.py DECODER MEMORY PROCESSOR CLOCK FILE`. It runs as a file, not as a module of the
portal: importing `portal` would load all of Flask.
"""

import importlib
import json
import os
import resource
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from types import ModuleType

REFUSED = 3  # exit status; the message is on standard error, as JSON
NICENESS = 10  # requests go first


def limit(memory: int, processor: int, clock: int, file: int) -> None:
    """Have the kernel kill this process, or deny it memory, beyond these limits."""
    os.nice(NICENESS)
    signal.alarm(clock)
    for name, amount in (
        ("RLIMIT_CORE", 0),
        ("RLIMIT_CPU", processor),
        ("RLIMIT_FSIZE", file),
        ("RLIMIT_AS", memory),
    ):
        with suppress(ValueError, OSError):  # macOS cannot limit the address space
            resource.setrlimit(getattr(resource, name), (amount, amount))


def load(decoder: str) -> ModuleType:
    """The decoder's module, loaded without `portal/__init__.py`."""
    package = ModuleType("portal")
    package.__path__ = [str(Path(__file__).resolve().parents[2])]
    sys.modules["portal"] = package
    return importlib.import_module(decoder)


def main() -> int:
    """Decode standard input; return the exit status."""
    decoder, *limits = sys.argv[1:]
    limit(*map(int, limits))
    warnings.simplefilter("ignore")
    module = load(decoder)

    from portal.domain.errors import PortalError  # noqa: PLC0415 - can be found only now

    try:
        sys.stdin.buffer.seek(0)
        module.decode(sys.stdin.buffer, sys.stdout.buffer)
        sys.stdout.flush()
    except PortalError as refusal:
        sys.stdout.flush()
        sys.stderr.write(json.dumps(str(refusal)))
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
