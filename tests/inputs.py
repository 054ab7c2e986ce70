"""Everything the portal reads: the names of its fields, and its routes with values in them.

Tests fill them with what does not belong there.
"""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from uuid import uuid4

from flask import Flask
from wtforms import Form
from wtforms.fields.core import UnboundField

from portal import forms
from portal.api.dialects import schemas, validator

# Names that views read by themselves.
READ_BY_VIEWS = {"next", "code", "q", "cursor", "after", "bucket", "device", "csrf_token"}
PLACEHOLDER = re.compile(r"<(?:(\w+)(?:\(([^)]*)\))?:)?\w+>")


def field_names() -> list[str]:
    """The names of all fields, of forms, queries and JSON bodies."""
    names = READ_BY_VIEWS | {
        field.name for field in vars(validator).values() if isinstance(field, validator.Field)
    }
    for module in pkgutil.iter_modules(forms.__path__):
        for kind in vars(import_module(f"{forms.__name__}.{module.name}")).values():
            if isinstance(kind, type) and issubclass(kind, Form):
                fields = (name for name in dir(kind) if not name.startswith("_"))
                names |= {n for n in fields if isinstance(getattr(kind, n), UnboundField)}
    for kind in vars(schemas).values():
        if isinstance(kind, type) and issubclass(kind, schemas.Body):
            names |= set(kind.model_fields)
    return sorted(names)


def routes(app: Flask, text: str, number: str = "1") -> Iterator[tuple[str, str]]:
    """The method and the path of every route, with `text` and `number` where they take some.

    Both are in escapes already, if they need them.
    """

    def fill(found: re.Match[str]) -> str:
        converter, choices = found[1], found[2]
        values = {"uuid": str(uuid4()), "int": number, "any": (choices or "").split(",")[0]}
        return values.get(converter, text)

    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            yield method, PLACEHOLDER.sub(fill, rule.rule)
