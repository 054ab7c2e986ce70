"""`flask issue`."""

import csv
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from portal.clock import utcnow
from portal.extensions import db
from portal.models import Account, Batch, BatchState, Invitation, Role
from tests import factories

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def olivia(context: None) -> Account:
    return factories.owner(utcnow())


def issue(app: Flask, **options: object) -> Result:
    """Run the command with these options."""
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return app.test_cli_runner().invoke(args=["issue", *arguments])


def test_one_code_is_printed_grouped_in_fours_and_lets_somebody_in(
    app: Flask, olivia: Account
) -> None:
    result = issue(app, by="olivia", label="From the shell")

    [code] = result.output.splitlines()
    assert [len(group) for group in code.split("-")] == [4, 4, 4]
    assert factories.redeem(code, origin=factories.device(), now=utcnow())
    assert db.session.scalars(sa.select(Invitation)).one().label == "From the shell"


def test_many_codes_are_a_batch_and_one_line_each(app: Flask, olivia: Account) -> None:
    result = issue(app, by="olivia", count=5100, days=0, uses=0)

    codes = result.output.splitlines()
    assert len(set(codes)) == 5100
    assert db.session.scalars(sa.select(Batch)).one().state is BatchState.ISSUED
    [issued] = db.session.scalars(sa.select(Invitation).limit(1)).all()
    assert (issued.expires_at, issued.max_uses) == (None, None)


def test_codes_are_written_to_a_table_instead(app: Flask, olivia: Account, tmp_path: Path) -> None:
    result = issue(app, by="olivia", count=3, csv=tmp_path / "codes.csv")

    assert result.output == ""
    with (tmp_path / "codes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert rows[0]["link"] == f"http://localhost/?code={rows[0]['code']}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "nobody"}, "There is no account named nobody."),
        ({"by": "vera"}, "Your role does not allow this."),
        ({"by": "olivia", "count": 100_001}, "A batch has between 1 and 100,000 codes."),
        ({"by": "olivia", "count": 0}, "A batch has between 1 and 100,000 codes."),
    ],
)
def test_what_cannot_be_issued_is_refused_in_words(
    app: Flask, olivia: Account, options: dict[str, object], said: str
) -> None:
    factories.staff(Role.VIEWER, "vera", utcnow())

    result = issue(app, **options)

    assert (result.exit_code, result.output) == (1, f"Error: {said}\n")
    assert not db.session.scalars(sa.select(Invitation)).all()
