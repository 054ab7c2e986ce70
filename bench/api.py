"""The invitation API against its floor, at a thousand, a hundred thousand, a million invitations.

All sizes run side by side and are measured in turn, so that they can be compared.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from flask.testing import FlaskClient

from bench import report, servers
from bench.engines import RESULTS, Engine
from bench.load import ORIGIN, Requests, address, request
from bench.report import Ratio
from bench.seeding import EMAIL, MANY, PASSWORD, Known, Seed, in_process
from portal.domain.invitations import listing as history
from portal.domain.invitations.listing import Query

API = "/api/v1"
SIZES = (1_000, 100_000, 1_000_000)
TARGETS = {"validate": 0.6, "login": 0.5, "generate": 0.5, "history": 0.5, "cursor": 0.5}
KEEPS = 0.85  # of the ratio, from the smallest size to the largest
QUICKEST = 6_000  # requests a second; an upper bound, so that requests never run out
TERMS = (
    "The floor does for validate one SELECT by unique key; for login with code one conditional"
    " UPDATE … RETURNING and one INSERT in one transaction; for generate one INSERT in one"
    " transaction; for history (first page) and cursor (pages anywhere) one keyset SELECT of 50"
    " rows and json.dumps. The same driver (psycopg, sqlite3), the same pragmas, a connection a"
    " thread. Clients: 65,536 addresses, a fresh device for every login; codes admit many devices,"
    " so that the table keeps its size. Logs and limits on as in production, and the worker runs."
)
HEADERS = {"Accept": "*/*", "User-Agent": "python-requests/2.34.2"}


@dataclass(frozen=True)
class Size:
    """The portal and its floor over copies of one seed, with the requests for each."""

    portal: str
    floor: str
    ours: dict[str, Requests]
    theirs: dict[str, Requests]


def run(
    engines: Sequence[Engine],
    *,
    sizes: Sequence[int],
    only: Sequence[str],
    rounds: int,
    seconds: float,
) -> None:
    """Measure, and publish the table."""
    tables = [_table(engine, sizes, only, rounds, seconds) for engine in engines]
    head = "# The invitation API, as a ratio to its floor"
    report.publish("api", "\n\n".join([head, *tables, report.conditions(rounds, seconds), TERMS]))


def _table(
    engine: Engine, sizes: Sequence[int], only: Sequence[str], rounds: int, seconds: float
) -> str:
    lines = []
    with ExitStack() as stack:
        served = [_serve(stack, engine, rows, rounds * seconds) for rows in sizes]
        for name in only:
            print(f"{engine.name}: {name} …", flush=True)
            ratios = _measure(served, name, TARGETS[name], rounds, seconds)
            lines.append([name, *ratios, report.beside(ratios[-1], ratios[0], KEEPS)])
    head = [engine.name, *(f"{rows:,}" for rows in sizes), f"{sizes[-1]:,} beside {sizes[0]:,}"]
    return report.table(head, lines)


def _measure(
    sizes: Sequence[Size], name: str, target: float, rounds: int, seconds: float
) -> list[Ratio]:
    ratios = [Ratio([], [], target) for _ in sizes]
    for size in sizes:  # warm up
        size.theirs[name].send(size.floor, 1)
        size.ours[name].send(size.portal, 1)
    for _ in range(rounds):
        for size, ratio in zip(sizes, ratios, strict=True):
            ratio.theirs.append(size.theirs[name].send(size.floor, seconds))
            ratio.ours.append(size.ours[name].send(size.portal, seconds))
    return ratios


def _serve(stack: ExitStack, engine: Engine, rows: int, seconds: float) -> Size:
    seed = Seed(engine, rows, max_uses=MANY)
    folder = RESULTS / f"{engine.name}-{rows}"
    folder.mkdir(parents=True, exist_ok=True)
    url, floor_url = seed.copy(f"portal_{rows}"), seed.copy(f"floor_{rows}")
    clients = Clients(url, seed.known(), folder, round((seconds + 2) * QUICKEST))
    return Size(
        stack.enter_context(servers.portal(url, folder / "portal.log")),
        stack.enter_context(servers.floor(floor_url, folder / "floor.log")),
        clients.of_the_portal(),
        clients.of_the_floor(),
    )


class Clients:
    """Clients who know the codes of one seed, and the owner."""

    def __init__(self, url: str, known: Sequence[Known], folder: Path, most: int) -> None:
        self._folder = folder
        self._known = known
        self._most = most
        app = in_process(url)
        owner, self._token = _sign_in(app.test_client())
        self._owner = owner
        # Each of these rows is followed by a whole page.
        rows = sorted(one.id for one in known)[100:]
        self._places = random.sample(rows, min(500, len(rows)))
        with app.app_context():
            self._cursors = [_cursor(row) for row in self._places]

    def of_the_portal(self) -> dict[str, Requests]:
        """The requests that clients send to the API."""
        listing = f"{API}/admin/invitation/history?size=50"
        return {
            "validate": self._look_ups("ours", lambda one: f"{API}/invitation/{one.code}"),
            "login": self._logins("ours", lambda one, _: f"{API}/user/login/{one.code}"),
            "generate": self._by_owner(
                "generate-ours", "POST", [f"{API}/admin/invitation/generate"]
            ),
            "history": self._by_owner("history-ours", "GET", [listing]),
            "cursor": self._by_owner(
                "cursor-ours", "GET", [f"{listing}&cursor={cursor}" for cursor in self._cursors]
            ),
        }

    def of_the_floor(self) -> dict[str, Requests]:
        """The same requests for the floor."""
        listing = f"/history/{self._owner}"
        return {
            "validate": self._look_ups("floor", lambda one: f"/validate/{one.lookup}"),
            "login": self._logins("floor", lambda one, device: f"/login/{one.lookup}/{device}"),
            "generate": self._by_owner("generate-floor", "POST", [f"/generate/{self._owner}"]),
            "history": self._by_owner("history-floor", "GET", [listing]),
            "cursor": self._by_owner(
                "cursor-floor", "GET", [f"{listing}/{place}" for place in self._places]
            ),
        }

    def _look_ups(self, whose: str, path: Callable[[Known], str]) -> Requests:
        """Lookups of any code, from any address."""
        return Requests(
            self._folder / f"validate-{whose}",
            (
                request("GET", path(one), address=address(number), headers=HEADERS)
                for number, one in enumerate(random.choices(self._known, k=100_000))
            ),
        )

    def _logins(self, whose: str, path: Callable[[Known, str], str]) -> Requests:
        """Redemptions of any code, each on a new device."""
        chosen = random.choices(self._known, k=self._most)
        devices = [uuid4().hex for _ in chosen]
        return Requests(
            self._folder / f"login-{whose}",
            (
                request(
                    "POST",
                    path(one, device),
                    address=address(number),
                    headers=HEADERS | {"deviceId": device},
                )
                for number, (one, device) in enumerate(zip(chosen, devices, strict=True))
            ),
            once=True,
        )

    def _by_owner(self, name: str, method: str, paths: Sequence[str]) -> Requests:
        """The owner's requests, with a token, from one address."""
        headers = HEADERS | self._token
        return Requests(
            self._folder / name,
            [request(method, path, address=address(1), headers=headers) for path in paths],
        )


def _sign_in(client: FlaskClient) -> tuple[str, dict[str, str]]:
    """The owner's id, and the owner's `Authorization` header."""
    body = {"email": EMAIL, "password": PASSWORD}
    signed_in = client.post(f"{API}/admin/login", json=body, base_url=ORIGIN).get_json()
    token = {"Authorization": f"Bearer {signed_in['data']['token']}"}
    newest = client.get(f"{API}/admin/invitation/history", headers=token, base_url=ORIGIN)
    return newest.get_json()["data"]["data"][0]["created_by"], token


def _cursor(row: str) -> str:
    """The cursor of the page after a row; paging to it would take too long."""
    place = UUID(row)
    return history.write_cursor(Query(), "after", place, place)
