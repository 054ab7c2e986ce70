"""Exports: what the history shows, as spreadsheets read it and none computes it."""

import csv
import zipfile
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import pytest
from openpyxl import load_workbook

from portal.domain.audit import audit
from portal.domain.errors import NotAllowed, NotFound
from portal.domain.exports import exports, formulas, xlsx
from portal.domain.exports.exports import Format, Wanted
from portal.domain.imports import preview, uploads
from portal.domain.invitations.invitations import Terms, revoke
from portal.domain.invitations.listing import Query
from portal.extensions import db
from portal.models import Account, Batch, BatchState, Role, Status
from tests.factories import NOW, code_of, device, invitation, owner, staff

pytestmark = pytest.mark.usefixtures("context")

DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "＝1"]


@pytest.fixture
def olivia(context: None) -> Account:
    return owner()


def exported(wanted: Wanted, format: Format, by: Account | None) -> bytes:
    """The whole file."""
    return b"".join(exports.export(wanted, format, by=by, origin=device(), now=NOW))


def as_csv(by: Account | None, with_codes: bool = False, **query: Any) -> list[dict[str, str]]:
    """The rows of a CSV export, by their headings."""
    wanted = Wanted(query=Query(**query), with_codes=with_codes)
    return list(csv.DictReader(StringIO(exported(wanted, Format.CSV, by).decode("utf-8-sig"))))


def as_xlsx(by: Account | None, **query: Any) -> list[dict[str, Any]]:
    """The rows of an XLSX export, by their headings, as openpyxl reads them."""
    content = exported(Wanted(query=Query(**query)), Format.XLSX, by)
    heading, *rows = load_workbook(BytesIO(content)).active.iter_rows(values_only=True)
    return [dict(zip(heading, row, strict=True)) for row in rows]


def test_an_export_says_what_the_history_says(olivia: Account) -> None:
    invitation(olivia, label="Table 1", recipient="ana@example.org", max_uses=None)

    [row] = as_csv(olivia)

    assert row["e-mail"] == "ana@example.org"
    assert (row["label"], row["uses"], row["used"], row["state"]) == (
        "Table 1",
        "unlimited",
        "0",
        "active",
    )
    assert row["expires (UTC)"] == (NOW + timedelta(days=7)).strftime("%Y-%m-%d %H:%M:%S")
    assert row["issued by"] == "olivia"
    assert "code" not in row


def test_both_formats_say_the_same(olivia: Account) -> None:
    invitation(olivia, label="Ünï & <b>", expires_at=None)
    invitation(olivia, recipient="ana@example.org", max_uses=3)

    written = [{name: str(cell or "") for name, cell in row.items()} for row in as_xlsx(olivia)]

    assert [row | {"used": "0"} for row in written] == as_csv(olivia)


def test_an_export_holds_exactly_what_is_asked_for_in_its_order(olivia: Account) -> None:
    for label in ("Beta", "Alpha", "Gamma"):
        invitation(olivia, label=label)
    revoke(invitation(olivia, label="Alpha revoked"), by=olivia, origin=device(), now=NOW)

    rows = as_csv(olivia, text="a", statuses=(Status.ACTIVE,), sort="label", descending=False)

    assert [row["label"] for row in rows] == ["Alpha", "Beta", "Gamma"]


def test_a_selection_is_exported_alone(olivia: Account) -> None:
    chosen = invitation(olivia, label="Chosen")
    invitation(olivia, label="Other")
    wanted = Wanted(query=Query(), ids=(chosen.id,))

    assert b"Other" not in exported(wanted, Format.CSV, olivia)
    assert exports.count(wanted, by=olivia, now=NOW) == 1


def test_nothing_makes_a_file_with_headings_only(olivia: Account) -> None:
    assert as_csv(olivia) == []
    assert as_xlsx(olivia) == []


# --- Formulas (case 53) ---


@pytest.mark.parametrize("label", DANGEROUS)
def test_no_cell_is_computed(olivia: Account, label: str) -> None:
    invitation(olivia, label=label)

    [row] = as_csv(olivia)
    assert row["label"] == "'" + label

    content = exported(Wanted(query=Query()), Format.XLSX, olivia)
    [_, cells] = load_workbook(BytesIO(content)).active.iter_rows()
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    assert not any(str(cell.value or "").startswith(("=", "+", "-", "@")) for cell in cells)


@pytest.mark.parametrize("cell", [*DANGEROUS, "'", "''", "it's", "", "1-2", "a@b"])
def test_what_is_neutralised_is_restored(cell: str) -> None:
    assert formulas.restore(formulas.neutralise(cell)) == cell


def test_no_two_cells_become_the_same() -> None:
    assert len({formulas.neutralise(cell) for cell in DANGEROUS}) == len(DANGEROUS)


@pytest.mark.parametrize("format", Format)
def test_an_export_can_be_imported_again(olivia: Account, format: Format) -> None:
    invitation(olivia, label="=1+1", recipient="@example.org", max_uses=None)
    invitation(olivia, label="-2", recipient="ana@example.org", max_uses=3, expires_at=None)
    before = [(r["e-mail"], r["label"], r["uses"], r["expires (UTC)"]) for r in as_csv(olivia)]
    content = exported(Wanted(query=Query()), format, olivia)

    batch = uploads.receive(
        BytesIO(content), Terms(), name="Again", by=olivia, origin=device(), now=NOW
    )
    uploads.read(batch.id, clock=lambda: NOW)
    preview.confirm(batch, by=olivia, origin=device(), now=NOW, invite_again=True)
    from portal.domain.batches import batches

    batches.complete(batch.id, origin=device(), now=NOW)

    again = as_csv(olivia, batch=batch.id)
    assert sorted(
        (r["e-mail"], r["label"], r["uses"], r["expires (UTC)"]) for r in again
    ) == sorted(before)


# --- Who may ---


def test_codes_are_there_for_those_who_may_read_them_and_ask(olivia: Account) -> None:
    invited = invitation(olivia)

    [row] = as_csv(olivia, with_codes=True)

    assert row["code"] == code_of(invited)


def test_viewers_get_no_codes(olivia: Account) -> None:
    invitation(olivia)
    vera = staff(Role.VIEWER, "vera")

    with pytest.raises(NotAllowed):
        as_csv(vera, with_codes=True)
    assert "code" not in as_csv(vera)[0]


def test_members_export_nothing(olivia: Account) -> None:
    with pytest.raises(NotAllowed):
        as_csv(staff(Role.MEMBER, "mia"))


def test_somebody_elses_batch_is_not_there(olivia: Account) -> None:
    batch = Batch(name="Mine", created_by_id=olivia.id, created_at=NOW, state=BatchState.ISSUED)
    db.session.add(batch)
    db.session.commit()

    with pytest.raises(NotFound):
        as_csv(staff(Role.ADMIN, "alice"), batch=batch.id)
    assert as_csv(olivia, batch=batch.id) == []


def test_an_export_is_one_event(olivia: Account) -> None:
    invitation(olivia)
    invitation(olivia)
    as_csv(olivia, with_codes=True)

    newest, before = audit.latest(2)

    assert (newest.action, newest.actor_id) == ("history.exported", olivia.id)
    assert newest.details == {"codes": True, "chosen": 0, "format": "csv"}
    assert before.action == "invitation.issued"


# --- Workbooks ---


def test_a_long_table_goes_on_in_another_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "ROWS_A_SHEET", 2)
    content = b"".join(xlsx.pieces(["number"], ([number] for number in range(5))))

    sheets = load_workbook(BytesIO(content)).worksheets

    assert [list(sheet.iter_rows(values_only=True)) for sheet in sheets] == [
        [("number",), (0,), (1,)],
        [("number",), (2,), (3,)],
        [("number",), (4,)],
    ]


def test_a_workbook_holds_no_character_that_would_break_it() -> None:
    cell = "a\0\x0b\ufffe<&>" + "x" * 40_000
    content = b"".join(xlsx.pieces(["text"], [[cell]]))

    assert zipfile.ZipFile(BytesIO(content)).testzip() is None
    [_, [read]] = load_workbook(BytesIO(content)).active.iter_rows(values_only=True)
    assert read.startswith("a<&>xxx")


def test_a_workbook_comes_in_pieces() -> None:
    rows = ([number, f"row {number}"] for number in range(20_000))
    assert max(map(len, xlsx.pieces(["number", "text"], rows))) < 100_000
