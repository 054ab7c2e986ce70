"""Who may import whom: only the arrows of the design, and never in a circle."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import portal

TREE = Path(portal.__file__).parent

# A row speaks for a module, or for a package and all in it; the longest name that fits decides.
# Whoever adds a module adds its row.
MAY_IMPORT: dict[str, set[str]] = {
    "portal.clock": set(),
    "portal.current": set(),
    "portal.config": {"portal.current"},
    "portal.extensions": {"portal.domain.client"},
    "portal.domain.errors": set(),
    "portal.forms": {"portal.forms"},
    "portal.http.json": set(),
    "portal.http.app": {"portal.http.json"},
    "portal.http.assets": {"portal.config"},
    "portal.floods": {
        "portal.config",
        "portal.extensions",
        "portal.limits_storage",
    },
    "portal.http.fetch_metadata": {"portal.current", "portal.domain.errors"},
    "portal.http.filters": {"portal.clock"},
    "portal.database": {"portal.config", "portal.extensions"},
    "portal.prepared": set(),
    "portal.connections": {"portal.current", "portal.extensions", "portal.prepared"},
    "portal.transactions": {"portal.connections", "portal.extensions"},
    "portal.statements": {
        "portal.connections",
        "portal.database",
        "portal.extensions",
        "portal.transactions",
    },
    "portal.lookups": {"portal.extensions", "portal.statements"},
    "portal.marks": {"portal.connections", "portal.extensions", "portal.statements"},
    "portal.http.logs": {
        "portal.clock",
        "portal.config",
        "portal.current",
        "portal.http.json",
        "portal.http.redaction",
    },
    "portal.http.redaction": {"portal.config", "portal.current"},
    "portal.models": {"portal.models", "portal.extensions"},
    "portal.limits_storage": {
        "portal.models",
        "portal.extensions",
        "portal.statements",
    },
    "portal.domain.sandbox": {"portal.domain.sandbox", "portal.domain.errors"},
    "portal.domain": {
        "portal.domain",
        "portal.domain.sandbox",
        "portal.models",
        "portal.extensions",
        "portal.limits_storage",
        "portal.lookups",
        "portal.marks",
        "portal.statements",
        "portal.transactions",
        "portal.config.settings",
        "portal.config.current_settings",
    },
    "portal.schema": {"portal.config", "portal.extensions"},
    "portal.ops.backups": {"portal.schema", "portal.domain.errors"},
    "portal.ops.doctor": {
        "portal.ops.doctor",
        "portal.config",
        "portal.domain",
        "portal.extensions",
        "portal.models",
        "portal.ops",
        "portal.schema",
    },
    "portal.ops.startup": {
        "portal.clock",
        "portal.domain",
        "portal.extensions",
        "portal.http.logs",
        "portal.schema",
    },
    "portal.http.device": {"portal.config", "portal.domain"},
    "portal.http.guards": {
        "portal.clock",
        "portal.current",
        "portal.domain",
        "portal.models",
        "portal.extensions",
    },
    "portal.http.headers": {
        "portal.config",
        "portal.current",
        "portal.domain.errors",
        "portal.extensions",
        "portal.http.redaction",
    },
    "portal.http.metrics": {"portal.current", "portal.domain"},
    "portal.mail.languages": set(),
    "portal.mail.qr": set(),
    "portal.mail.invitation_messages": {
        "portal.clock",
        "portal.config",
        "portal.domain",
        "portal.mail.languages",
        "portal.models",
        "portal.mail.qr",
    },
    "portal.mail.account_messages": {
        "portal.config",
        "portal.domain",
        "portal.http.filters",
        "portal.mail.languages",
        "portal.mail.invitation_messages",
        "portal.models",
    },
    "portal.http.errors": {
        "portal.clock",
        "portal.database",
        "portal.domain.errors",
        "portal.http.logs",
    },
    "portal.mail.smtp": set(),
    "portal.mail.delivery": {
        "portal.clock",
        "portal.config",
        "portal.domain",
        "portal.mail.invitation_messages",
        "portal.models",
        "portal.mail.account_messages",
        "portal.http.logs",
        "portal.mail.smtp",
    },
    "portal.web": {
        "portal.web",
        "portal.clock",
        "portal.config",
        "portal.http.device",
        "portal.ops.doctor",
        "portal.domain",
        "portal.forms",
        "portal.http.guards",
        "portal.mail.languages",
        "portal.mail.delivery",
        "portal.mail.invitation_messages",
        "portal.models",
        "portal.http.headers",
    },
    "portal.web.refusals": {  # the only page that takes what no form of ours sent
        "portal.clock",
        "portal.config",
        "portal.domain",
        "portal.extensions",
        "portal.http.guards",
        "portal.mail.languages",
        "portal.models",
    },
    "portal.api": {
        "portal.api",
        "portal.clock",
        "portal.config",
        "portal.current",
        "portal.domain",
        "portal.http.errors",
        "portal.extensions",
        "portal.forms",
        "portal.http.guards",
        "portal.http.logs",
        "portal.http.metrics",
        "portal.models",
        "portal.http.headers",
        "portal.schema",
    },
    "portal.cli": {
        "portal.cli",
        "portal.ops.backups",
        "portal.ops.doctor",
        "portal.clock",
        "portal.config",
        "portal.domain",
        "portal.extensions",
        "portal.models",
        "portal.schema",
        "portal.ops.startup",
        "portal.ops.worker",
    },
    "portal.ops": {"portal.ops"},
    "portal.ops.worker": {
        "portal.clock",
        "portal.database",
        "portal.domain",
        "portal.extensions",
        "portal.http.logs",
        "portal.mail.delivery",
        "portal.models",
        "portal.schema",
        "portal.ops.startup",
    },
}
# These know nothing of the web, whoever made the library.
WITHOUT_FLASK = ("portal.domain", "portal.models", "portal.limits_storage", "portal.clock")
FLASK = ("flask", "flask_", "werkzeug", "jinja2", "wtforms")


def sources(tree: Path) -> dict[str, Path]:
    """The modules under a package's folder, by name."""
    found = {}
    for path in tree.rglob("*.py"):
        parts = (tree.name, *path.relative_to(tree).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """The full name of everything a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def lies_in(name: str, package: str) -> bool:
    """Whether `name` is the package or something in it."""
    return name == package or name.startswith(package + ".")


def row_of(module: str) -> set[str] | None:
    """What the table lets a module import."""
    rows = [row for row in MAY_IMPORT if lies_in(module, row)]
    return MAY_IMPORT[max(rows, key=len)] if rows else None


def trespasses(tree: Path) -> list[str]:
    """Every import that the table, or the ban on Flask, forbids."""
    found = []
    for module, path in sources(tree).items():
        if module == "portal":  # puts it all together
            continue
        allowed = row_of(module)
        if allowed is None:
            found.append(f"{module} has no row in the table")
            continue
        for name in imports(path):
            if lies_in(name, "portal"):
                if not any(lies_in(name, other) for other in allowed):
                    found.append(f"{module} imports {name}")
            elif any(lies_in(module, layer) for layer in WITHOUT_FLASK) and is_flask(name):
                found.append(f"{module} imports {name}")
    return found


def is_flask(name: str) -> bool:
    """Whether this is Flask, or one of its family."""
    top = name.partition(".")[0]
    return any(top == kin or (kin.endswith("_") and top.startswith(kin)) for kin in FLASK)


def circle(tree: Path) -> list[str]:
    """The modules of one circle of imports, if there is any."""
    modules = sources(tree)
    graph = {
        module: {target for name in imports(path) if (target := owner(name, modules))} - {module}
        for module, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def owner(name: str, modules: dict[str, Path]) -> str | None:
    """The module an imported name is, or is taken from."""
    return next((part for part in (name, name.rpartition(".")[0]) if part in modules), None)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small portal without fault."""
    write(tmp_path / "portal", "extensions", "db = object()")
    write(tmp_path / "portal", "models/__init__", "from portal.extensions import db")
    write(tmp_path / "portal", "domain/errors", "class PortalError(Exception): ...")
    write(tmp_path / "portal", "domain/codes", "from portal.domain import errors")
    write(tmp_path / "portal", "web/__init__", "import flask\nfrom portal.web import landing")
    write(tmp_path / "portal", "web/landing", "from portal.domain.codes import draw")
    return tmp_path / "portal"


def write(tree: Path, module: str, source: str) -> None:
    """Add a module to a portal."""
    path = tree / f"{module}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


def test_every_import_follows_the_design() -> None:
    assert trespasses(TREE) == []


def test_no_imports_go_in_a_circle() -> None:
    assert circle(TREE) == []


def test_every_module_is_looked_at() -> None:
    looked_at = sources(TREE)

    assert {
        "portal",
        "portal.models",
        "portal.domain.invitations.codes",
        "portal.web.landing",
    } < set(looked_at)
    assert set(MAY_IMPORT) <= set(looked_at)


def test_a_tree_without_fault_passes(tree: Path) -> None:
    assert trespasses(tree) == []
    assert circle(tree) == []


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("domain/codes", "import flask", "portal.domain.codes imports flask"),
        ("domain/codes", "from flask import g", "portal.domain.codes imports flask.g"),
        ("domain/codes", "import flask_login", "portal.domain.codes imports flask_login"),
        ("models/__init__", "import werkzeug.local", "portal.models imports werkzeug.local"),
        ("domain/codes", "import portal.web", "portal.domain.codes imports portal.web"),
        ("domain/codes", "from portal import web", "portal.domain.codes imports portal.web"),
        (
            "domain/codes",
            "def late():\n    from portal.web.landing import index",
            "portal.domain.codes imports portal.web.landing.index",
        ),
        (
            "domain/codes",
            "from portal.config import load",
            "portal.domain.codes imports portal.config.load",
        ),
        (
            "domain/errors",
            "from portal.domain import codes",
            "portal.domain.errors imports portal.domain.codes",
        ),
        (
            "models/__init__",
            "from portal.domain import codes",
            "portal.models imports portal.domain.codes",
        ),
        ("web/landing", "import portal.api.health", "portal.web.landing imports portal.api.health"),
        ("api/health", "from portal import web", "portal.api.health imports portal.web"),
        ("forms/auth", "from portal import domain", "portal.forms.auth imports portal.domain"),
        ("extensions", "from portal import models", "portal.extensions imports portal.models"),
        ("webs", "import os", "portal.webs has no row in the table"),
    ],
)
def test_a_forbidden_import_is_noticed(tree: Path, module: str, source: str, found: str) -> None:
    write(tree, module, source)

    assert trespasses(tree) == [found]


def test_a_relative_import_is_refused(tree: Path) -> None:
    write(tree, "web/landing", "from ..api import health")

    with pytest.raises(AssertionError, match="relative"):
        trespasses(tree)


def test_a_circle_is_noticed(tree: Path) -> None:
    write(tree, "domain/sessions", "from portal.domain.codes import draw")
    write(tree, "domain/codes", "def late():\n    from portal.domain import sessions")

    assert set(circle(tree)) == {
        "portal.domain.accounts.sessions",
        "portal.domain.invitations.codes",
    }
