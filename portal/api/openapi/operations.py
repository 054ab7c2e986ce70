"""What the description of the API is made of: operations, each in the words of its dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.api.dialects import invitations, schemas
from portal.api.dialects.responses import Voice
from portal.api.openapi.responses import TEXT, Schema, record
from portal.domain.errors import PortalError
from portal.models import Scope

BY_THEMSELVES = ("api", "docs", "health", "keys")  # blueprints whose views need no surname


@dataclass(frozen=True)
class Dialect:
    """A dialect by its name, and its envelope of a problem, by name in the description."""

    name: str
    voice: Voice
    problem_name: str
    problem: Schema = field(hash=False)


INVITATIONS = Dialect(
    "invitations", invitations.VOICE, "Problem", record(status={"const": "error"}, message=TEXT)
)


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    `answers` maps a status to the media type, the schema and an example of its body; `refusals`
    makes an example of each error it may end in. A path that means the same as another is its
    `alias`.
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
        """The view's name; the document's GET of what is a POST is told apart."""
        blueprint, _, view = self.endpoint.partition(".")
        name = view if blueprint in BY_THEMSELVES else f"{blueprint}_{view}"
        return name + self.alias + ("_by_get" if self.is_old_fashioned else "")

    @property
    def is_old_fashioned(self) -> bool:
        """Whether this changes something by GET, as the document has it."""
        return (self.method, self.scope) == ("get", Scope.ISSUE)

    @property
    def problem_type(self) -> str:
        """The media type of its problems."""
        return "text/html" if self.path == "/metrics" else "application/json"
