"""JSON responses, and the error messages of a dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, current_app

from portal.domain.errors import PortalError
from portal.http.logs import answered

Json = dict[str, Any]
# A message and its status. A function words the error itself; None stands for its own sentence.
Words = tuple[str | Callable[[Any], str] | None, int]


def reply(body: Json, status: int = 200) -> Response:
    """Respond with this body, and pass it to the log."""
    answered(body)
    response: Response = current_app.json.response(body)  # type: ignore[assignment]
    if status != 200:  # set only if needed, since Werkzeug formats the status anew
        response.status_code = status
    return response


@dataclass(frozen=True)
class Voice:
    """The error messages of one dialect.

    `body` puts a message, its status and the view's endpoint into the dialect's envelope. `words`
    are of refusals, each for its children too; `in_view` come before them in one view alone, by its
    endpoint. `faults` are of HTTP's own errors, by status; `fault` is of everything that is our
    fault, with the status it always has, if any.
    """

    body: Callable[[str, int, str | None], Json]
    words: Mapping[type[PortalError], Words]
    faults: Mapping[int, tuple[str, int]]
    fault: tuple[str, int | None]
    in_view: Mapping[str, Mapping[type[PortalError], Words]] = field(default_factory=dict)

    def of_refusal(self, error: PortalError, endpoint: str | None) -> tuple[str, int]:
        """The message and the status of a refusal of the view `endpoint`."""
        tables = (self.in_view.get(endpoint or "", {}), self.words)
        kinds = type(error).__mro__
        found = (table[kind] for table in tables for kind in kinds if kind in table)
        message, status = next(found)
        return message(error) if callable(message) else message or str(error), status

    def of_fault(self, status: int) -> tuple[str, int]:
        """The message and status of an HTTP or server error."""
        if status >= 500:
            message, always = self.fault
            return message, always or status
        return self.faults.get(status, self.faults[400])

    def answer(self, error: Exception, status: int, endpoint: str | None) -> Response:
        """Format an error in this dialect."""
        if isinstance(error, PortalError):
            message, status = self.of_refusal(error, endpoint)
        else:
            message, status = self.of_fault(status)
        return reply(self.body(message, status, endpoint), status)
