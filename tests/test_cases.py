"""The document on security names only tests that are there, and leaves no case out."""

import re

from tests import cases


def test_every_case_of_the_catalogue_stands_in_the_document() -> None:
    assert set(cases.documented()) == cases.ALL


def test_every_test_the_document_names_shows_its_case() -> None:
    shown = {number: set(map(str, paths)) for number, paths in cases.shown().items()}
    for number, (_, tests) in cases.documented().items():
        named = {f"tests/{name}" for name in re.findall(r"`([^`]+)`", tests)}
        assert named <= shown.get(number, set()), f"case {number}: run python -m tests.cases"


def test_a_case_without_a_test_is_said_to_have_none() -> None:
    for number, (_, tests) in cases.documented().items():
        assert ("none yet" in tests) == ("`" not in tests), f"case {number}"
