"""The two engines: databases that are seeded once, kept, and copied for each run."""

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from bench import floor
from portal.config import ROOT
from portal.db.engine import SQLITE_PRAGMAS

RESULTS = ROOT / "bench" / "results"
CACHE = RESULTS / "cache"
POSTGRES = "postgresql://postgres@127.0.0.1:5432"

assert floor.SQLITE_PRAGMAS == SQLITE_PRAGMAS, "the floor must have the portal's pragmas"


class Sqlite:
    """SQLite files below bench/results/cache."""

    name = "sqlite"

    def url(self, database: str) -> str:
        """The database URL for the portal and the floor."""
        return f"sqlite:///{CACHE / database}.sqlite"

    def create(self, database: str) -> None:
        """Create an empty database, replacing any of that name."""
        self.drop(database)

    def names(self) -> set[str]:
        """The names of all benchmark databases."""
        return {path.stem for path in CACHE.glob("bench_*.sqlite")}

    def drop(self, database: str) -> None:
        """Drop the database if it exists."""
        for suffix in ("", "-wal", "-shm"):
            CACHE.joinpath(f"{database}.sqlite{suffix}").unlink(missing_ok=True)

    def rename(self, database: str, name: str) -> None:
        """Rename it, after a checkpoint since the log keeps the old name."""
        connection = sqlite3.connect(self._path(database))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        self._path(database).rename(self._path(name))

    def copy(self, database: str, name: str) -> str:
        """Copy it; return the URL of the copy."""
        self.drop(name)
        shutil.copy(self._path(database), self._path(name))
        return self.url(name)

    def fill(
        self, database: str, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert many rows, whose ids and times come from `floor.Sqlite.id` and `.time`."""
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        connection = sqlite3.connect(self._path(database))
        with connection:
            connection.executemany(statement, rows)
        connection.close()

    def driver(self, database: str) -> floor.Sqlite:
        """The bare driver."""
        return floor.Sqlite(str(self._path(database)))

    def _path(self, database: str) -> Path:
        return CACHE / f"{database}.sqlite"


class Postgres:
    """Databases of the Postgres server at 127.0.0.1."""

    name = "postgres"

    def url(self, database: str) -> str:
        """The database URL for the portal and the floor."""
        return f"{POSTGRES}/{database}"

    def create(self, database: str) -> None:
        """Create an empty database, replacing any of that name."""
        self.drop(database)
        self._manage(f"CREATE DATABASE {database}")

    def names(self) -> set[str]:
        """The names of all benchmark databases."""
        found = self._manage("SELECT datname FROM pg_database WHERE datname LIKE 'bench\\_%'")
        return {name for (name,) in found}

    def drop(self, database: str) -> None:
        """Drop the database if it exists."""
        self._manage(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def rename(self, database: str, name: str) -> None:
        """Rename it, after the maintenance that autovacuum would do."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        self._manage(f"ALTER DATABASE {database} RENAME TO {name}")

    def copy(self, database: str, name: str) -> str:
        """Copy it; return the URL of the copy."""
        self.drop(name)
        self._manage(f"CREATE DATABASE {name} TEMPLATE {database} STRATEGY FILE_COPY")
        return self.url(name)

    def fill(
        self, database: str, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert many rows, whose ids and times come from `floor.Postgres.id` and `.time`."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with (
            psycopg.connect(self.url(database)) as connection,
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def driver(self, database: str) -> floor.Postgres:
        """The bare driver."""
        return floor.Postgres(self.url(database))

    def _manage(self, statement: str) -> list[Any]:
        with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


Engine = Sqlite | Postgres
ENGINES: dict[str, Engine] = {"sqlite": Sqlite(), "postgres": Postgres()}
