"""Large files, as they come: memory does not grow with them."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import sqlalchemy as sa
from openpyxl import Workbook

from portal.clock import utcnow
from portal.extensions import db
from portal.models import Invitation
from tests import factories
from tests.conftest import SECRET
from tests.memory import peak

FEW, MANY = 1_000, 20_000  # rows
LITTLE = 6 * 1024  # kilobytes: less than half of what the larger file has in cells
REMARK = "to be seated beside somebody nice, " * 20


def table(path: Path, rows: int) -> str:
    """A CSV file of so many guests."""
    lines = (f"guest{number}@example.org,Guest {number},{REMARK}\n" for number in range(rows))
    with path.open("w") as file:
        file.write("email,name,remark\n")
        file.writelines(lines)
    return str(path)


def workbook(path: Path, rows: int) -> str:
    """An XLSX file as Excel writes it: no cell holds its text, all are shared strings."""
    Workbook().save(path.with_suffix(".empty"))
    with ZipFile(path.with_suffix(".empty")) as empty, ZipFile(path, "w", ZIP_DEFLATED) as book:
        for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels"):
            book.writestr(name, empty.read(name))
        texts = (f"<si><t>{number} {REMARK}</t></si>" for number in range(rows))
        book.writestr("xl/sharedStrings.xml", f"<sst>{''.join(texts)}</sst>")
        cells = (f'<row><c t="s"><v>{number}</v></c></row>' for number in range(rows))
        sheet = f"<worksheet><sheetData>{''.join(cells)}</sheetData></worksheet>"
        book.writestr("xl/worksheets/sheet1.xml", sheet)
    return str(path)


# case 71
@pytest.mark.parametrize("write", [table, workbook])
def test_a_file_twenty_times_as_long_is_read_in_the_same_memory(
    write: Callable[[Path, int], str], tmp_path: Path
) -> None:
    small, large = write(tmp_path / "small", FEW), write(tmp_path / "large", MANY)

    assert peak("rows", large) - peak("rows", small) < LITTLE


# case 71
def test_twenty_times_as_many_are_invited_in_the_same_memory(
    database_url: str, context: None, tmp_path: Path
) -> None:
    factories.owner(utcnow())
    settings = {
        "DATABASE_URL": database_url,
        "SECRET_KEY": SECRET,
        "PUBLIC_URL": "http://localhost",
    }

    def peak_of(rows: int) -> int:
        file = table(tmp_path / f"{rows}.csv", rows)
        return peak("import", file, "--by", "olivia", "--again", **settings)

    few, many = peak_of(FEW), peak_of(MANY)

    assert many - few < LITTLE
    assert db.session.scalar(sa.select(sa.func.count(Invitation.id))) == FEW + MANY
