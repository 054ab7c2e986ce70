"""Simulated people: their actions, the responses they expect, and what they remember."""

import itertools
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
ISSUED = re.compile(r"/admin/invitations/([0-9a-f-]{36})/issued")
AWAY = 503
RETRIES = 120
PAUSE = 0.5  # seconds before a failed request is retried
_numbers = itertools.count(1)


class Wrong(Exception):
    """A response that nobody should have got."""


@dataclass
class Memory:
    """What the clients know, to be compared with the database afterwards."""

    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    redeemed: list[str] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Person:
    """A browser with an address of its own and the landing page open."""

    def __init__(self, client: httpx.Client, memory: Memory) -> None:
        number = next(_numbers)
        self._client, self._memory = client, memory
        self._address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self._cookies: dict[str, str] = {}
        self._token = ""

    def look(self, path: str = "/") -> httpx.Response:
        """Open a page, and keep its token."""
        answer = self._send("GET", path, {200})
        if found := TOKEN.search(answer.text):
            self._token = found[1]
        return answer

    def submit(self, path: str, expected: set[int], **fields: str) -> httpx.Response:
        """POST a form, retrying after faults as people do."""
        return self._send("POST", path, expected, {"csrf_token": self._token} | fields)

    def _send(
        self, method: str, path: str, expected: set[int], form: dict[str, str] | None = None
    ) -> httpx.Response:
        for _ in range(RETRIES):
            answer = self._once(method, path, form)
            if answer is not None and answer.status_code in expected:
                return answer
            if answer is not None and answer.status_code != AWAY:
                raise Wrong(f"{method} {path.partition('?')[0]}: {answer.status_code}")
            time.sleep(PAUSE)
        raise Wrong(f"{method} {path}: away for too long")

    def _once(self, method: str, path: str, form: dict[str, str] | None) -> httpx.Response | None:
        headers = {"X-Forwarded-For": self._address, "Cookie": self._cookie()}
        began = time.perf_counter()
        try:
            answer = self._client.request(method, path, data=form, headers=headers)
        except httpx.TransportError as error:
            self._memory.faults[type(error).__name__] += 1
            return None
        if answer.status_code == AWAY:
            self._memory.faults["503"] += 1
        self._memory.seconds.append(time.perf_counter() - began)
        self._cookies |= dict(answer.cookies)
        self._client.cookies.clear()  # they are this person's, not the connection's
        return answer

    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())


@dataclass(frozen=True)
class Codes:
    """Codes to enter: single-use ones, and one without a limit."""

    single: Iterator[str]
    lasting: str


class Crowd:
    """Threads of people who do a typical mix of actions at a given rate."""

    def __init__(self, url: str, codes: Codes, identity: str, password: str) -> None:
        self.memory = Memory()
        self._url, self._codes = url, codes
        self._identity, self._password = identity, password
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, threads: int, seconds: float, rate: float | None) -> float:
        """Act for `seconds`, at `rate` actions a second in total (None: as fast as possible).

        Returns the responses a second.
        """
        before, began = sum(self.memory.answers.values()), time.monotonic()
        pause = threads / rate if rate else 0.0
        end = began + seconds
        people = [
            threading.Thread(target=self._live, args=(end, pause, number))
            for number in range(threads)
        ]
        for person in people:
            person.start()
        for person in people:
            person.join()
        return (sum(self.memory.answers.values()) - before) / (time.monotonic() - began)

    def _live(self, end: float, pause: float, number: int) -> None:
        chance = random.Random(number)
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            guest, staff = Person(client, self.memory), self._staff(client)
            guest.look()
            due = time.monotonic()
            while due < end and time.monotonic() < end:
                deed = chance.choices(*zip(*self._deeds(client, guest, staff), strict=True))[0]
                self._do(deed)
                due += pause
                time.sleep(max(0.0, due - time.monotonic()))

    def _do(self, deed: Callable[[], str]) -> None:
        try:
            self.memory.answers[deed()] += 1
        except Wrong as wrong:
            self.memory.wrong.append(str(wrong))

    def _deeds(
        self, client: httpx.Client, guest: Person, staff: Person
    ) -> list[tuple[Callable[[], str], int]]:
        return [
            (lambda: self._check(guest), 55),
            (lambda: self._look(guest), 20),
            (lambda: self._redeem(client), 10),
            (lambda: self._guess(client), 3),
            (lambda: self._browse(staff), 8),
            (lambda: self._issue(staff), 4),
        ]

    def _check(self, guest: Person) -> str:
        answer = guest.submit("/validation", {200}, code=self._codes.lasting)
        if "say good" not in answer.text:
            raise Wrong("a good code was not found good")
        return "codes checked"

    def _look(self, guest: Person) -> str:
        guest.look()
        return "landing pages"

    def _redeem(self, client: httpx.Client) -> str:
        with self._lock:
            code = next(self._codes.single)
        person = Person(client, self.memory)
        person.look()
        person.submit("/", {303}, code=code)
        self.memory.redeemed.append(code)
        return "codes redeemed"

    def _guess(self, client: httpx.Client) -> str:
        person = Person(client, self.memory)
        person.look()
        person.submit("/", {422, 429}, code=f"WRONG{random.randrange(10**7):07}")
        return "wrong codes refused"

    def _browse(self, staff: Person) -> str:
        staff.look("/admin/invitations")
        return "pages of the history"

    def _issue(self, staff: Person) -> str:
        number = next(_numbers)
        fields = {"label": f"soak {number}", "validity": "days", "days": "7", "uses": "one"}
        fields |= {"grants_role": "", "mailed": "y"}
        recipient = f"guest{number}@example.org"
        answer = staff.submit("/admin/invitations", {303}, recipient=recipient, **fields)
        if not ISSUED.search(answer.headers["Location"]):
            raise Wrong("an invitation was issued, and not shown")
        self.memory.issued.append(recipient)
        return "invitations issued and mailed"

    def _staff(self, client: httpx.Client) -> Person:
        staff = Person(client, self.memory)
        staff.look("/login")
        staff.submit("/login", {303}, identity=self._identity, password=self._password)
        staff.look("/admin/invitations")
        return staff
