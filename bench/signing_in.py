"""Sign-in against bare argon2, and a page with a session against the same page without."""

from collections.abc import Sequence

from flask import Flask

from bench import report, servers
from bench.engines import RESULTS, Engine
from bench.load import Requests, address, request
from bench.pages import HEADERS, Browser
from bench.report import Ratio
from bench.seeding import PASSWORD, Seed, in_process
from portal.clock import utcnow
from portal.db.types import new_id
from portal.domain.accounts import accounts
from portal.extensions import db
from portal.models import Account, Role

MEMBERS = 200  # enough that hardly two of them sign in at the same time
PAGE = "/?code=K7QM"  # checks for an invitee's session; the response is the same
TERMS = (
    "Signing in: the form of the pages, by {members} members, each on a device of their own, beside"
    " a bare Flask route that verifies one argon2id hash of the portal's parameters. The page: the"
    " landing page with an incomplete code, with an invitee's session beside without. Limits, logs"
    " and audit on as in production."
)


def run(engines: Sequence[Engine], *, rounds: int, seconds: float) -> None:
    """Measure, and publish the table."""
    figures = [[engine.name, *measure(engine, rounds, seconds)] for engine in engines]
    head = ["engine", "sign-in", "page with a session"]
    text = [
        "# Signing in, as a ratio to bare argon2; a session, as a ratio to none",
        report.table(head, figures),
        report.conditions(rounds, seconds),
        TERMS.format(members=MEMBERS),
    ]
    report.publish("signing_in", "\n\n".join(text))


def measure(engine: Engine, rounds: int, seconds: float) -> tuple[Ratio, Ratio]:
    """Both ratios on one engine."""
    seed = Seed(engine, 1_000, max_uses=1_000_000)
    url = seed.copy("signing_in")
    app = in_process(url)
    sign_ins = _sign_ins(app)
    known, unknown = _visits(app, seed.known()[0].code)
    bare = _file("verify", [request("GET", "/verify", address=address(1))])
    with (
        servers.floor("", RESULTS / "floor.log") as floor,
        servers.portal(url, RESULTS / "portal.log") as portal,
    ):
        print(f"{engine.name}: signing in …", flush=True)
        return (
            _by_turns((sign_ins, portal), (bare, floor), 0.8, rounds, seconds),
            _by_turns((known, portal), (unknown, portal), 0.6, rounds, seconds),
        )


def _by_turns(
    ours: tuple[Requests, str],
    theirs: tuple[Requests, str],
    target: float,
    rounds: int,
    seconds: float,
) -> Ratio:
    ratio = Ratio([], [], target)
    for requests, url in (ours, theirs):  # warm up
        requests.send(url, 1)
    for _ in range(rounds):
        ratio.ours.append(ours[0].send(ours[1], seconds))
        ratio.theirs.append(theirs[0].send(theirs[1], seconds))
    return ratio


def _sign_ins(app: Flask) -> Requests:
    """Each member's form, as their own browser sends it."""
    names = _members(app)
    browsers = [Browser(app) for _ in names]  # the landing page sets the device cookie
    return _file(
        "sign-in",
        [
            request(
                "POST",
                "/login",
                address=address(number),
                headers=browser.headers("session", "device"),
                form={"identity": name, "password": PASSWORD, "csrf_token": browser.token},
            )
            for number, (name, browser) in enumerate(zip(names, browsers, strict=True))
        ],
    )


def _members(app: Flask) -> list[str]:
    """Add members who share the owner's password, since a hash for each would take a minute."""
    names = [f"member-{number}" for number in range(MEMBERS)]
    with app.app_context():
        olivia = accounts.find("olivia")
        assert olivia is not None
        for name in names:
            db.session.add(
                Account(
                    id=new_id(),
                    email=f"{name}@example.org",
                    username=name,
                    username_key=name,
                    password_hash=olivia.password_hash,
                    role=Role.MEMBER,
                    created_at=utcnow(),
                    confirmed_at=utcnow(),
                )
            )
        db.session.commit()
    return names


def _visits(app: Flask, code: str) -> tuple[Requests, Requests]:
    """The page as requested by a signed-in invitee, and by a stranger."""
    invitee, stranger = Browser(app), Browser(app)
    invitee.redeem(code)
    visits = (
        _file(
            name,
            [
                request(
                    "GET",
                    PAGE,
                    address=address(1),
                    headers=HEADERS | browser.headers("session", "device"),
                )
            ],
        )
        for name, browser in (("invitee", invitee), ("stranger", stranger))
    )
    return next(visits), next(visits)


def _file(name: str, requests: Sequence[bytes]) -> Requests:
    return Requests(RESULTS / f"{name}.requests", requests)
