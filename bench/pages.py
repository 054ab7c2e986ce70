"""The pages against a bare Flask "hello": live validation, redeeming, the history."""

import re
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from bench import report, servers
from bench.engines import RESULTS, Engine
from bench.load import HOST, ORIGIN, LoadFailed, Requests, address, request
from bench.report import Ratio
from bench.seeding import EMAIL, PASSWORD, Known, Seed, in_process

BROWSERS = 500
TERMS = (
    "{rows} invitations; every redeem takes a fresh single-use code on a fresh device; {browsers}"
    " browsers, each with its cookies; compression, logs and limits on as in production."
)
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br",
}
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
MISSES = "SELECT coalesce(sum(hits), 0) FROM attempt_counter"
REDEMPTIONS = "SELECT count(*) FROM redemption"


class Browser:
    """An in-process browser that has opened a page, and so has its cookies."""

    def __init__(self, app: Flask, page: str = "/") -> None:
        self._client: FlaskClient = app.test_client()
        found = TOKEN.search(self._client.get(page, base_url=ORIGIN).text)
        assert found, f"{page} has no form"
        self.token = found[1]

    def sign_in(self) -> None:
        """Sign in as the owner."""
        form = {"identity": EMAIL, "password": PASSWORD, "csrf_token": self.token}
        assert self._client.post("/login", data=form, base_url=ORIGIN).status_code == 303

    def redeem(self, code: str) -> None:
        """Redeem a code."""
        form = {"code": code, "csrf_token": self.token}
        assert self._client.post("/", data=form, base_url=ORIGIN).status_code == 303

    def headers(self, *names: str) -> dict[str, str]:
        """The headers of its requests, with only the cookies `names`."""
        cookies = ((name, self._client.get_cookie(name, domain=HOST)) for name in names)
        sent = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies if cookie)
        return HEADERS | {"Origin": ORIGIN, "Cookie": sent}


def run(engines: Sequence[Engine], *, rows: int, rounds: int, seconds: float) -> None:
    """Measure, and publish the table."""
    figures = [
        [engine.name, *measure(engine, rows=rows, rounds=rounds, seconds=seconds)]
        for engine in engines
    ]
    text = "\n\n".join(
        [
            "# The pages, as a ratio to a bare Flask “hello”",
            report.table(["engine", "live validation", "redeem", "history, 25 rows"], figures),
            report.conditions(rounds, seconds),
            TERMS.format(rows=rows, browsers=BROWSERS),
        ]
    )
    report.publish("pages", text)


def measure(engine: Engine, *, rows: int, rounds: int, seconds: float) -> list[Ratio]:
    """The three ratios on one engine."""
    seed = Seed(engine, rows, max_uses=1)
    url = seed.copy("pages")
    driver = engine.driver("bench_work_pages")
    scenarios = prepare(url, seed.known())
    hello = Requests(
        RESULTS / "hello.requests",
        (request("GET", "/hello", address=address(n), headers=HEADERS) for n in range(10_000)),
    )
    ratios = []
    with (
        servers.floor("", RESULTS / "floor.log") as floor,
        servers.portal(url, RESULTS / "portal.log") as portal,
    ):
        for name, scenario in scenarios.items():
            print(f"{engine.name}: {name} …", flush=True)
            hello.send(floor, 1), scenario.send(portal, 1)  # warm up
            pairs = [
                (scenario.send(portal, seconds), hello.send(floor, seconds)) for _ in range(rounds)
            ]
            ratios.append(Ratio(*zip(*pairs, strict=True)))
    # Validation responds 200 for wrong codes too, but counts them.
    if driver.execute(MISSES).fetchone()[0]:
        raise LoadFailed("some codes were not valid")
    if not driver.execute(REDEMPTIONS).fetchone()[0]:
        raise LoadFailed("nothing was redeemed")
    return ratios


def prepare(url: str, known: Sequence[Known]) -> dict[str, Requests]:
    """Ready-made requests. Half of the codes are validated, the other half redeemed."""
    app = in_process(url)
    browsers = cycle([Browser(app) for _ in range(BROWSERS)])
    olivia = Browser(app, "/login")
    olivia.sign_in()
    half = len(known) // 2
    return {
        "live validation": Requests(
            _file("validation"),
            (
                _post("/validation", one.code, next(browsers), n, "session", "device")
                for n, one in enumerate(known[:half])
            ),
        ),
        # Without a device cookie, each request comes from a new device.
        "redeem": Requests(
            _file("redeem"),
            (
                _post("/", one.code, next(browsers), n, "session")
                for n, one in enumerate(known[half:])
            ),
            once=True,
        ),
        "history": Requests(
            _file("history"),
            [
                request(
                    "GET",
                    "/admin/invitations",
                    address=address(1),
                    headers=olivia.headers("session", "device"),
                )
            ],
        ),
    }


def _post(path: str, code: str, browser: Browser, number: int, *cookies: str) -> bytes:
    return request(
        "POST",
        path,
        address=address(number),
        headers=browser.headers(*cookies),
        form={"csrf_token": browser.token, "code": code},
    )


def _file(name: str) -> Path:
    return RESULTS / f"{name}.requests"
