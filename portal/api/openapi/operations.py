"""The building blocks of the API description: operations and dialects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from portal.api.dialects import schemas, words
from portal.api.openapi.responses import TEXT, Schema, record
from portal.domain.errors import PortalError
from portal.models import Scope

BY_THEMSELVES = ("api", "docs", "health", "keys")  # blueprints whose view names need no prefix


class Speaks(Protocol):
    """The error messages of a dialect, with their statuses and envelope."""

    def of_refusal(self, error: PortalError, endpoint: str | None) -> tuple[str, int]:
        """The message and status of a domain error."""

    def of_fault(self, status: int) -> tuple[str, int]:
        """The message and status of an HTTP or server error."""

    @property
    def body(self) -> Callable[[str, int, str | None], dict[str, Any]]:
        """The function that builds the envelope."""


class Invitations:
    """The dialect of the invitation service, whose messages are in `words`."""

    of_refusal = staticmethod(words.of_refusal)
    of_fault = staticmethod(words.of_fault)

    @staticmethod
    def body(message: str, _status: int, _endpoint: str | None) -> dict[str, Any]:
        """The envelope of its document."""
        return {"status": "error", "message": message}


@dataclass(frozen=True)
class Dialect:
    """A dialect: its name, its error messages, and the name and schema of its problems."""

    name: str
    voice: Speaks
    problem_name: str
    problem: Schema = field(hash=False)


INVITATIONS = Dialect(
    "invitations", Invitations(), "Problem", record(status={"const": "error"}, message=TEXT)
)


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    `answers` maps a status to the media type, schema and example of its body; `refusals` creates an
    example of each error it may raise. A path that means the same as another has an `alias`.
    """

    method: str
    path: str
    endpoint: str
    answers: dict[int, tuple[str, Schema, Any]]
    dialect: Dialect = INVITATIONS
    scope: Scope | None = None
    security: tuple[Schema, ...] = ()
    body: type[schemas.Body] | None = None
    sends: Any = None
    body_type: str = "application/json"
    body_is_optional: bool = False
    query: type[schemas.Body] | None = None
    headers: tuple[Schema, ...] = ()
    gives: Mapping[str, Schema] = field(default_factory=dict)
    refusals: tuple[Callable[[], PortalError], ...] = ()
    is_limited: bool = True
    alias: str = ""

    @property
    def name(self) -> str:
        """The view's name, with a suffix for a GET that the document has in place of a POST."""
        blueprint, _, view = self.endpoint.partition(".")
        name = view if blueprint in BY_THEMSELVES else f"{blueprint}_{view}"
        return name + self.alias + ("_by_get" if self.is_old_fashioned else "")

    @property
    def is_old_fashioned(self) -> bool:
        """Whether it changes something by GET, as the document has it."""
        return (self.method, self.scope) == ("get", Scope.ISSUE)

    @property
    def problem_type(self) -> str:
        """The media type of its problems."""
        return "text/html" if self.path == "/metrics" else "application/json"
