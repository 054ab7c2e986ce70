"""`bench/run`: choose what to measure, and for how long."""

import argparse
import signal
import sys

from bench import api, batches, exports, outbox, pages, signing_in
from bench.engines import ENGINES, RESULTS
from bench.load import require_wrk
from bench.seeding import drop_spoilt


def main() -> None:
    """Parse the command line and measure."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that contexts clean up
    if options.what not in {"batches", "outbox"}:
        require_wrk()
    RESULTS.mkdir(parents=True, exist_ok=True)
    engines = [ENGINES[name] for name in options.engines.split(",")]
    drop_spoilt(engines)
    try:
        if options.what in {"pages", "all"}:
            rows = options.rows[0] if options.rows else 30_000
            pages.run(engines, rows=rows, rounds=options.rounds, seconds=options.seconds)
        if options.what in {"api", "all"}:
            api.run(
                engines,
                sizes=options.rows or api.SIZES,
                only=options.only.split(",") if options.only else list(api.TARGETS),
                rounds=options.rounds,
                seconds=options.seconds,
            )
        if options.what in {"signing-in", "all"}:
            signing_in.run(engines, rounds=options.rounds, seconds=options.seconds)
        if options.what in {"exports", "all"}:
            rows = options.rows[0] if options.rows else exports.ROWS
            exports.run(engines, rows=rows, rounds=options.rounds)
        if options.what in {"batches", "all"}:
            rows = options.rows[0] if options.rows else 30_000
            batches.run(engines, rows=rows, rounds=options.rounds)
        if options.what in {"outbox", "all"}:
            mails = options.rows[0] if options.rows else outbox.MAILS
            outbox.run(engines, rounds=options.rounds, mails=mails)
    finally:
        drop_spoilt(engines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        default="all",
        choices=["pages", "api", "signing-in", "batches", "exports", "outbox", "all"],
    )
    parser.add_argument("--engines", default="sqlite,postgres", help="sqlite, postgres, or both")
    parser.add_argument(
        "--rows", type=_numbers, default=[], help="invitations, or mails: 1000,1000000"
    )
    parser.add_argument("--only", default="", help=f"of the api: {', '.join(api.TARGETS)}")
    parser.add_argument("--rounds", type=int, default=5, help="of the floor and of the portal")
    parser.add_argument("--seconds", type=float, default=3, help="a round")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


main()
