"""Every input the portal reads: the names in its forms and JSON bodies, and its routes with values
in them. Tests fill them with what does not belong there."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from uuid import uuid4

from flask import Flask
from flask_wtf import FlaskForm
from wtforms import Form

from portal import forms
from portal.api import schemas, validator

# Names that views read from the query or a form by themselves.
READ_BY_VIEWS = {"next", "code", "q", "cursor", "after", "page", "size", "bucket", "device"}
FIELDS_OF_OKAMI = {
    field.name for field in vars(validator).values() if isinstance(field, validator.Field)
}


def field_names() -> list[str]:
    """The names of all fields, of forms and of JSON bodies."""
    modules = [
        import_module(f"{forms.__name__}.{each.name}")
        for each in pkgutil.iter_modules(forms.__path__)
    ]
    names = set(READ_BY_VIEWS | FIELDS_OF_OKAMI)
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Form) and kind not in {Form, FlaskForm}:
                names |= {name for name in dir(kind) if hasattr(getattr(kind, name), "field_class")}
    for kind in vars(schemas).values():
        if isinstance(kind, type) and issubclass(kind, schemas.Body):
            names |= set(kind.model_fields)
    return sorted(names)


def routes(app: Flask, text: str, number: str = "1") -> Iterator[tuple[str, str]]:
    """The method and the path of every route, with `text` and `number` where they take some."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        values = {}
        for name, converter in rule._converters.items():
            kind = type(converter).__name__
            if kind == "UUIDConverter":
                values[name] = str(uuid4())
            elif kind == "AnyConverter":
                values[name] = "waiting"
            elif isinstance(converter.regex, str) and "0-9" in converter.regex:
                values[name] = number
            else:
                values[name] = text
        path = rule.rule
        for name, value in values.items():
            path = __import__("re").sub(rf"<[^<>]*\b{name}>", lambda _: value, path)
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            yield method, path
