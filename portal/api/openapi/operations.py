"""The building blocks of the API description: operations and dialects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.api.dialects import invitations, schemas
from portal.api.dialects.responses import Voice
from portal.api.openapi.responses import TEXT, Schema, record
from portal.domain.errors import PortalError
from portal.models import Scope

BY_THEMSELVES = ("api", "docs", "health", "keys")  # blueprints whose view names need no prefix


@dataclass(frozen=True)
class Dialect:
    """A dialect: its name, its error messages, and the name and schema of its problems."""

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
