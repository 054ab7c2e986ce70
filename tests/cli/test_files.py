"""`flask import` and `flask export`."""

from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from openpyxl import load_workbook

from portal.domain.invitations.invitations import revoke
from portal.extensions import db
from portal.models import Account, Batch, Invitation, Role
from tests.factories import NOW, code_of, device, invitation, owner, staff

pytestmark = pytest.mark.usefixtures("context")

GUESTS = "surel,nama\nana@example.org,Ana\nnonsense,Budi\nana@example.org,Ana\n"


@pytest.fixture
def olivia(context: None) -> Account:
    return owner()


@pytest.fixture
def guests(tmp_path: Path) -> Path:
    """A file with one good row of three."""
    path = tmp_path / "guests.csv"
    path.write_text(GUESTS)
    return path


def run(app: Flask, *arguments: str) -> Result:
    """Run a command."""
    return app.test_cli_runner().invoke(args=arguments)


def test_everybody_good_in_a_file_is_invited(app: Flask, olivia: Account, guests: Path) -> None:
    result = run(app, "import", str(guests), "--by", "olivia", "--label", "Party")

    assert result.exit_code == 0
    assert "line 3: “nonsense” is not an e-mail address." in result.stderr
    assert "line 4: The same address is in line 2." in result.stderr
    assert result.stderr.endswith("1 invitations issued.\n")
    [ana] = db.session.scalars(sa.select(Invitation)).all()
    assert (ana.recipient, ana.recipient_name, ana.label) == ("ana@example.org", "Ana", "Party")
    assert db.session.scalars(sa.select(Batch.name)).one() == "guests"


def test_a_dry_run_changes_nothing(app: Flask, olivia: Account, guests: Path) -> None:
    result = run(app, "import", str(guests), "--by", "olivia", "--dry-run")

    assert (result.exit_code, "1 good" in result.stderr) == (0, True)
    assert not db.session.scalars(sa.select(Invitation.id)).all()
    assert not db.session.scalars(sa.select(Batch.id)).all()


def test_an_import_needs_somebody_who_invites(app: Flask, guests: Path) -> None:
    result = run(app, "import", str(guests), "--by", "nobody")

    assert result.exit_code == 2
    assert "There is no such account." in result.stderr


def test_a_file_that_is_no_table_is_one_sentence(
    app: Flask, olivia: Account, tmp_path: Path
) -> None:
    path = tmp_path / "broken.xlsx"
    path.write_bytes(b"PK\3\4 broken")

    result = run(app, "import", str(path), "--by", "olivia")

    assert result.exit_code == 1
    assert result.stderr == "Error: This workbook is broken. Save it again, or as CSV.\n"


def test_an_export_goes_to_standard_output(app: Flask, olivia: Account) -> None:
    invitation(olivia, label="Open")
    revoke(invitation(olivia, label="Shut"), by=olivia, origin=device(), now=NOW)

    lines = run(app, "export", "--status", "revoked").stdout.splitlines()

    assert len(lines) == 2
    assert ",Shut,olivia," in lines[1]


def test_an_export_can_be_a_workbook(app: Flask, olivia: Account) -> None:
    invitation(olivia, label="Open")

    content = run(app, "export", "--format", "xlsx").stdout_bytes

    assert load_workbook(BytesIO(content)).active["C2"].value == "Open"


def test_codes_are_exported_by_somebody_only(app: Flask, olivia: Account) -> None:
    code = code_of(invitation(olivia))

    assert run(app, "export", "--codes").exit_code == 1
    assert code in run(app, "export", "--codes", "--by", "olivia").stdout


# case 81
def test_an_export_has_only_the_codes_its_taker_may_read(app: Flask, olivia: Account) -> None:
    alice = staff(Role.ADMIN, "alice")
    own = invitation(alice)
    above = invitation(olivia, grants_role=Role.OWNER)

    result = run(app, "export", "--codes", "--by", "alice")

    assert code_of(own) in result.stdout
    assert code_of(above) not in result.stdout
    assert "1 row has no code: alice may not read it." in result.stderr
