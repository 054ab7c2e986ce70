"""Builds throw-away databases from the migrations, and fails where they and the models differ.

SQLite always; Postgres too where TEST_POSTGRES_URL says there is one.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

ROOT = Path(__file__).parent.parent


@contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/check.sqlite"


@contextmanager
def postgres(server_url: str) -> Iterator[str]:
    name = f"check_{secrets.token_hex(6)}"
    url = make_url(server_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def check(database_url: str) -> None:
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "SECRET_KEY": secrets.token_hex(32),
        "PUBLIC_URL": "http://127.0.0.1:8000",
    }
    for step in ("upgrade", "check"):
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", step]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)


def main() -> int:
    databases = {"SQLite": sqlite()}
    if server_url := os.environ.get("TEST_POSTGRES_URL"):
        databases["Postgres"] = postgres(server_url)
    for kind, database in databases.items():
        with database as url:
            try:
                check(url)
            except subprocess.CalledProcessError:
                sys.stderr.write(
                    f"The migrations do not build what the models describe on {kind}.\n"
                )
                return 1
        sys.stdout.write(f"Migrations build what the models describe on {kind}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
