"""Caches that spare each test the cost of creating a portal and an account."""

from typing import Any

from argon2 import PasswordHasher
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule


class CompiledTemplates(BytecodeCache):
    """The bytecode of each template, shared by all portals of this process."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load the cached bytecode; Jinja checks that it matches the template's source."""
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Cache the bytecode."""
        self._compiled[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledTemplates()

# Still Argon2id, at a thousandth of the cost.
HASHER = PasswordHasher(memory_cost=64, time_cost=1, parallelism=1)
HASH_OF_NOBODY = HASHER.hash("nobody")

_compile_builder = Rule._compile_builder
_builders: dict[tuple[object, ...], Any] = {}


def compile_url_builders_once() -> None:
    """Share the functions that build URLs between portals: nine tenths of `create_app`."""
    Rule._compile_builder = _compile_once


def _compile_once(rule: Rule, append_unknown: bool = True) -> Any:
    key = (rule.rule, *sorted((rule.defaults or {}).items()), append_unknown)
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]
