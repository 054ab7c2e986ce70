"""JSON as it leaves the portal: the same bytes, whichever of the two encoders wrote them."""

import json
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.http import json as encoder
from portal.http.json import Encoder
from portal.models import Status

ENCODER = Encoder(default=repr)
ID = UUID("01900000-0000-7000-8000-000000000001")


@dataclass
class Point:
    """Something that only `default` knows to write."""

    x: int


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(anything)
def test_it_writes_what_the_standard_library_would(value: Any) -> None:
    assert ENCODER.encode(value).decode() == json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Status.ACTIVE, '"active"'),
        ({1: "one"}, '{"1":"one"}'),
        ([10**30], "[1000000000000000000000000000000]"),
        ("\x1b[2K\x9b2K\u2028", '"\\u001b[2K\\u009b2K\\u2028"'),
        ("\ud800", '"\\ud800"'),
        ({"id": ID}, f'{{"id":"{ID}"}}'),
    ],
)
def test_what_orjson_would_refuse_or_write_otherwise_is_written_all_the_same(
    value: Any, written: str
) -> None:
    assert Encoder(default=str).encode(value).decode() == written


# No times of day: orjson writes 00:00:00.010000 as .10000, and nothing here has any.
@given(st.datetimes(timezones=st.none() | st.just(UTC)) | st.dates())
@pytest.mark.parametrize("utc", ["+00:00", "Z"])
def test_times_are_written_in_one_manner(utc: str, moment: date) -> None:
    encoder = Encoder(default=repr, utc=utc)
    written = moment.isoformat().replace("+00:00", utc)

    assert encoder.encode([moment]).decode() == f'["{written}"]'
    assert encoder.encode(["é", moment]).decode() == f'["\\u00e9","{written}"]'


def test_what_json_has_no_form_for_is_left_to_the_default() -> None:
    assert json.loads(ENCODER.encode([Point(1)])) == [repr(Point(1))]


def test_what_even_the_default_refuses_is_an_error() -> None:
    def refuse(value: object) -> object:
        raise TypeError(f"no form for {value}")

    with pytest.raises(TypeError, match="no form for"):
        Encoder(default=refuse).encode({"here": object()})


def test_the_standard_library_is_asked_only_where_it_must_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(encoder.Encoder, "_thoroughly", lambda _, value: asked.append(value))

    for value in ({"status": "ok"}, "é", ["\ud800"]):
        ENCODER.encode(value)

    assert asked == ["é", ["\ud800"]]
