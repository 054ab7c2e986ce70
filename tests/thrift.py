"""What thousands of tests need not pay for again: each makes a portal, and somebody in it."""

from typing import Any

from argon2 import PasswordHasher
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule


class CompiledTemplates(BytecodeCache):
    """What each template was compiled to, for all the portals of this process."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is there; Jinja looks whether it is of the template as it stands."""
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self._compiled[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledTemplates()

# Argon2id all the same, at a thousandth of the price.
HASHER = PasswordHasher(memory_cost=64, time_cost=1, parallelism=1)
HASH_OF_NOBODY = HASHER.hash("nobody")

_compile_builder = Rule._compile_builder
_builders: dict[tuple[object, ...], Any] = {}


def compile_url_builders_once() -> None:
    """Let portals share the functions that build their URLs: nine tenths of `create_app`."""
    Rule._compile_builder = _compile_once


def _compile_once(rule: Rule, append_unknown: bool = True) -> Any:
    key = (rule.rule, *sorted((rule.defaults or {}).items()), append_unknown)
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]
