"""The description of the API is true, complete, and says itself what it means."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask

from portal.api.dialects import invitations
from portal.api.dialects.responses import Voice
from portal.api.openapi import document as openapi
from portal.api.openapi import reference
from portal.api.openapi.document import OPERATIONS
from portal.api.openapi.operations import INVITATIONS, Dialect
from portal.http.guards import guard_of
from tests.pages import PageClient

Json = dict[str, Any]

# What is for programs, and therefore has to be described.
DESCRIBED = re.compile(
    r"/api(/|$)|/(ping|healthz|readyz|metrics)$|/(v1|mobile|usermgmt|\.well-known)/"
    r"|/okami/auth/(registration|sign/)"
)
PLACES = {"id": "8f795135-631a-4ae2-b1b2-b26cffe0f542"}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
def document(client: PageClient) -> Json:
    """The document as programs get it."""
    answer = client.get("/api/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    found: Json = answer.get_json()
    return found


def operations(document: Json) -> dict[tuple[str, str], Json]:
    """Each operation by method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_url_for_programs_is_described_and_no_other(app: Flask, document: Json) -> None:
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if DESCRIBED.match(rule.rule)
        for method in (rule.methods or set()) & METHODS
    }

    assert set(operations(document)) == served


def example_of(path: str) -> str:
    """A path with something in each of its places."""
    return re.sub(r"{(\w+)}", lambda place: PLACES.get(place[1], "x"), path)


def test_an_operation_names_the_view_that_answers_it(app: Flask) -> None:
    for operation in OPERATIONS:
        adapter = app.url_map.bind("localhost")
        endpoint, _ = adapter.match(example_of(operation.path), operation.method.upper())
        assert endpoint == operation.endpoint


def test_an_operation_asks_for_a_token_where_its_view_does(client: PageClient) -> None:
    for operation in reference.OPERATIONS:
        answer = client.open(example_of(operation.path), method=operation.method.upper())
        assert (answer.status_code == 401) == bool(operation.scope), operation.name


def test_a_dialect_that_asks_for_a_token_says_which(client: PageClient) -> None:
    for operation in OPERATIONS:
        if operation.security and operation.dialect is not INVITATIONS:
            answer = client.open(example_of(operation.path), method=operation.method.upper())
            assert answer.status_code in {401, 403}, operation.name


@pytest.mark.parametrize("dialect", openapi.DIALECTS[1:], ids=lambda dialect: dialect.name)
def test_every_word_of_a_dialect_is_in_the_list_of_problems(
    document: Json, dialect: Dialect
) -> None:
    listed = {row["message"] for row in document["x-problems"] if row["dialect"] == dialect.name}
    voice = dialect.voice
    assert isinstance(voice, Voice)

    # Of these, the document speaks of HTTP's own in no place of its own.
    known = {message for message, _ in voice.words.values() if message}
    assert known - listed <= {"Header mobile-app tidak sesuai"}
    assert {voice.fault[0], voice.faults[429][0]} <= listed


def test_operations_have_names_of_their_own_and_a_summary(document: Json) -> None:
    names = [operation["operationId"] for operation in operations(document).values()]

    assert len(names) == len(set(names))
    for operation in operations(document).values():
        assert operation["summary"].endswith((".", "?"))


def test_every_example_is_what_its_schema_says(document: Json) -> None:
    seen = 0
    for operation in operations(document).values():
        contents = [body for body in [operation.get("requestBody")] if body]
        contents += [answer for answer in operation["responses"].values() if "content" in answer]
        for media in (kind for content in contents for kind in content["content"].values()):
            examples = [media["example"]] if "example" in media else []
            examples += [example["value"] for example in media.get("examples", {}).values()]
            schema = media["schema"] | {"components": document["components"]}
            for example in examples:
                jsonschema_rs.validate(schema, example)
                seen += 1

    assert seen > 50


def test_every_reference_leads_somewhere(document: Json) -> None:
    for pointer in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found: Any = document
        for step in pointer.split("/"):
            found = found[step]
        assert found


def test_every_word_of_the_dialect_is_in_the_list_of_problems(document: Json) -> None:
    listed = {(row["message"], row["status"]) for row in document["x-problems"]}

    voice = invitations.VOICE
    worded = [voice.words, *voice.in_view.values()]
    known = {words for table in worded for words in table.values() if isinstance(words[0], str)}
    known |= {*voice.faults.values(), invitations.NO_DEVICE}
    known |= {(voice.fault[0], 500), (voice.fault[0], 503)}
    assert known <= listed


@pytest.mark.parametrize(
    "message",
    [
        "invalid invitation code, you have 1 chances left!",
        "too many failed login attempts, please try again in 45s!",
        "too many failed login attempts, please try again in 29m58s!",
        "too many failed login attempts, please try again in 1h0m0s!",
        "email or password doesn't match!",
    ],
)
def test_a_message_fits_the_pattern_of_one_problem(document: Json, message: str) -> None:
    fitting = [row for row in document["x-problems"] if re.search(row["pattern"], message)]

    assert len(fitting) == 1


def test_a_problem_says_what_it_means_and_where_it_occurs(document: Json) -> None:
    names = {operation["operationId"] for operation in operations(document).values()}

    for row in document["x-problems"]:
        assert row["meaning"].endswith(".")
        assert re.search(row["pattern"], row["message"])
        assert set(row["operations"]) <= names


def test_the_description_is_for_everybody(app: Flask) -> None:
    for endpoint in ("docs.document", "docs.page"):
        guard = guard_of(app.view_functions[endpoint])
        assert guard is not None
        guard()


def test_the_description_names_the_portals_own_address(client: PageClient) -> None:
    document = client.get("/api/openapi.json").get_json()

    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "http://localhost"}]
    assert set(document["components"]["responses"]) == {
        str(status) for status in openapi.EVERYWHERE
    }
