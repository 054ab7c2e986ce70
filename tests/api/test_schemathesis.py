"""What schemathesis makes of the description, the running portal has an answer to, and a
described one."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from portal.api.openapi.document import OPERATIONS
from portal.api.openapi.operations import Operation
from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.tokens import api_tokens
from portal.models import Scope
from tests import factories
from tests.api.programs import Person, Program

pytestmark = pytest.mark.gunicorn

load_all_checks()
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TAKES_SOMETHING = [
    operation
    for operation in OPERATIONS
    if operation.body or operation.query or operation.headers or "{" in operation.path
]
WHATEVER = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def session(service: str) -> Iterator[requests.Session]:
    """A client at an address of its own."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["X-Forwarded-For"] = Program(service).address
        yield session


@pytest.fixture
def token(signed_in: tuple[Program, Person], behind: Flask, operation: Operation) -> str:
    """A token that may do all; for signing out, one that can."""
    alice, person = signed_in
    alice.generate()
    account = accounts.find(person.email)
    assert account is not None
    if operation.name == "logout":
        return alice.token
    _, token = api_tokens.create_api_token(
        by=account,
        name="schemathesis",
        scope=Scope.MANAGE,
        expires_at=None,
        origin=factories.device(),
        now=utcnow(),
    )
    return token


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_answers_what_it_is_meant_for_as_described(
    service: str, session: requests.Session, token: str, operation: Operation
) -> None:
    ask(service, session, token, operation, GenerationMode.POSITIVE)


@pytest.mark.parametrize("operation", TAKES_SOMETHING, ids=lambda operation: operation.name)
def test_an_operation_answers_what_it_is_not_meant_for_as_described(
    service: str, session: requests.Session, token: str, operation: Operation
) -> None:
    ask(service, session, token, operation, GenerationMode.NEGATIVE)


def ask(
    service: str, session: requests.Session, token: str, operation: Operation, mode: GenerationMode
) -> None:
    """Send what schemathesis thinks of, and compare each answer with the description."""
    document: dict[str, Any] = httpx.get(f"{service}/api/openapi.json", trust_env=False).json()
    described = schemathesis.openapi.from_dict(document)
    asked = described[operation.path][operation.method.upper()]
    if operation.scope:
        session.headers["Authorization"] = f"Bearer {token}"

    @WHATEVER
    @given(case=asked.as_strategy(generation_mode=mode))
    def holds(case: schemathesis.Case) -> None:
        answer = case.call(base_url=service, session=session)
        case.validate_response(answer, checks=CHECKS)

    holds()
