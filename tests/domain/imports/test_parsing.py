"""What people write down about whom to invite, and what is understood."""

from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile
from zoneinfo import ZoneInfo

import pytest
from openpyxl import Workbook

from portal.domain.batches.batches import Draft
from portal.domain.errors import FileRefused
from portal.domain.imports import parsing, tables
from portal.domain.imports.parsing import Terms
from tests.factories import NOW

WEEK = NOW + timedelta(days=7)


def understood(content: bytes, *, mailed: bool = False, zone: str = "UTC") -> list[Draft]:
    """The drafts a file makes."""
    terms = Terms(label="", max_uses=1, expires_at=WEEK, mailed=mailed, zone=ZoneInfo(zone))
    with tables.opened(BytesIO(content)) as rows:
        return list(parsing.drafts(rows, terms, now=NOW))


def problem(content: bytes, *, mailed: bool = False) -> str:
    """What is wrong with the only row of a file."""
    [draft] = understood(content, mailed=mailed)
    return draft.problem or ""


def workbook(*rows: list[object]) -> bytes:
    """An XLSX file as openpyxl writes it."""
    book, file = Workbook(), BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


# --- Headings ---


@pytest.mark.parametrize(
    "heading",
    [
        "e-mail,name,label,uses,expires",
        "E-Mail Address,Full Name,LABEL,Max uses,Valid until",
        "surel,nama,keterangan,jumlah pemakaian,berlaku sampai",
        "email;nama;keterangan;jumlah_pemakaian;berlaku hingga",
        "Email\tName\tNote\tUses\tExpires (UTC)",
        '"email"|"name"|"label"|"uses"|"expires"',
    ],
)
def test_headings_are_english_or_indonesian_with_any_delimiter(heading: str) -> None:
    delimiter = next(sign for sign in ";\t|," if sign in heading)
    row = delimiter.join(["ana@example.org", "Ana", "Table 1", "2", "2026-12-31 18:00"])

    [ana] = understood(f"{heading}\n{row}\n".encode())

    assert (ana.recipient, ana.recipient_name, ana.label, ana.max_uses) == (
        "ana@example.org",
        "Ana",
        "Table 1",
        2,
    )
    assert ana.expires_at == datetime(2026, 12, 31, 18, 0, tzinfo=UTC)


def test_columns_come_in_any_order_and_others_are_left_aside() -> None:
    [ana] = understood(b"Phone,Nama,Surel\n0812,Ana,ANA@Example.org\n")
    assert (ana.recipient, ana.recipient_name) == ("ana@example.org", "Ana")


def test_without_headings_the_first_column_is_the_address() -> None:
    [ana, budi] = understood(b"ana@example.org,Ana\nbudi@example.org\n")
    assert (ana.number, ana.recipient_name, budi.number) == (1, "Ana", 2)


def test_excels_own_first_line_is_understood() -> None:
    [ana] = understood(b"sep=;\r\nemail;name\r\nana@example.org;Ana\r\n")
    assert (ana.number, ana.recipient_name) == (3, "Ana")


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    drafts = understood(b'name,email\n"Ana\nPutri",ana@example.org\n\n"B ",b@example.org\n')
    assert [(draft.number, bool(draft.problem)) for draft in drafts] == [(2, True), (5, False)]


def test_two_columns_with_one_meaning_are_refused() -> None:
    with pytest.raises(FileRefused, match="same heading"):
        understood(b"email,surel\na@example.org,b@example.org\n")


# --- Encodings ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_names_keep_their_letters(encoding: str) -> None:
    content = "name,email\nRené Müller,rene@example.org\n".encode(encoding)
    [rene] = understood(content)
    assert (rene.recipient_name, rene.problem) == ("René Müller", None)


def test_a_line_that_cannot_be_read_is_a_problem_of_its_own() -> None:
    bad, good = understood(b"name,email\nRen\x81\xe9,a@example.org\nAna,b@example.org\n")
    assert "characters that cannot be read" in (bad.problem or "")
    assert good.problem is None


def test_nul_is_a_problem_of_its_line() -> None:
    assert "cannot be read" in problem(b"name,email\nA\0na,a@example.org\n")


# --- Cells ---


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("email\nana@", "is not an e-mail address"),
        ("email\n" + "a" * 5000 + "@example.org", "is not an e-mail address"),
        ("email,uses\na@example.org,0", "Uses is a whole number"),
        ("email,uses\na@example.org,1.5", "Uses is a whole number"),
        ("email,uses\na@example.org,\N{ARABIC-INDIC DIGIT TWO}", "Uses is a whole number"),
        ("email,expires\na@example.org,soon", "The end is no date"),
        ("email,expires\na@example.org,12/31/2026", "The end is no date"),
        ("email,expires\na@example.org,9999-12-31", "The end is no date"),
        ("email,expires\na@example.org,2020-01-01", "It would have ended already"),
        ("email,expires\na@example.org,0001-01-01", "It would have ended already"),
        ("email,language\na@example.org,fr", "The language is en or id"),
        ("email,name\na@example.org," + "n" * 121, "The name is longer than 120"),
        ('email,label\na@example.org,"two\nlines"', "The label has a line break"),
        ("email,name\na@example.org,a\x1b[31m", "The name has a line break, or another"),
    ],
)
def test_a_bad_cell_is_a_problem_of_its_row(cell: str, sentence: str) -> None:
    assert sentence in problem(cell.encode())


def test_who_is_to_be_written_to_needs_an_address() -> None:
    assert "no e-mail address" in problem(b"name,email\nAna,\n", mailed=True)
    assert "whole domain" in problem(b"email\n@example.org\n", mailed=True)
    assert problem(b"name,email\nAna,\n") == ""


def test_a_day_lasts_to_its_end_where_the_reader_is() -> None:
    [draft] = understood(b"email,expires\na@example.org,31/12/2026\n", zone="Asia/Jakarta")
    assert draft.expires_at == datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC)


def test_a_heading_can_say_that_times_are_utc() -> None:
    [draft] = understood(
        b"email,expires (UTC)\na@example.org,2026-12-31 10:00\n", zone="Asia/Jakarta"
    )
    assert draft.expires_at == datetime(2026, 12, 31, 10, tzinfo=UTC)


def test_unlimited_and_never_are_words() -> None:
    both = b"email,uses,expires\na@example.org,unlimited,never\n"
    assert [(draft.max_uses, draft.expires_at) for draft in understood(both)] == [(None, None)]
    indonesian = b"surel,pemakaian,sampai\na@example.org,Tak terbatas,Selamanya\n"
    assert [(draft.max_uses, draft.expires_at) for draft in understood(indonesian)] == [
        (None, None)
    ]


# --- Giants (case 71) ---


def test_a_giant_cell_is_a_problem_of_its_row() -> None:
    giant = b"x" * 3_000_000
    bad, good = understood(b"email,name\na@example.org," + giant + b"\nb@example.org,B\n")
    assert "too long" in (bad.problem or "")
    assert (good.number, good.recipient, good.problem) == (3, "b@example.org", None)


def test_a_row_of_a_million_columns_is_cut() -> None:
    wide = b'x","' * 1_000_000
    with tables.opened(BytesIO(b'a@example.org,"' + wide + b'"\nb@example.org\n')) as rows:
        found = list(rows)

    assert max(len(row.cells) for row in found) <= 100
    assert found[-1].cells == ["b@example.org"]


def test_a_row_that_goes_on_for_thousands_of_lines_is_cut() -> None:
    lines = b'x","' + b'x","\n' * 200_000
    with tables.opened(BytesIO(b'a@example.org,"' + lines + b'"\nb@example.org\n')) as rows:
        found = list(rows)

    assert max(len(row.cells) for row in found) <= 100
    assert found[-1].cells == ["b@example.org"]


def test_a_quotation_mark_that_is_never_closed_is_a_problem_of_its_row() -> None:
    lines = b"".join(b"guest%d@example.org\n" % number for number in range(20_000))
    drafts = understood(b'email,name\na@example.org,"A\n' + lines)
    assert "never closed" in (drafts[0].problem or "")
    assert drafts[-1].recipient == "guest19999@example.org"


# --- Workbooks ---


def test_a_workbook_is_read_like_a_table() -> None:
    [ana, budi] = understood(
        workbook(
            ["Surel", "Nama", "Jumlah pemakaian", "Berlaku sampai"],
            ["ana@example.org", "Ana", 2, date(2026, 12, 31)],
            [],
            ["budi@example.org", None, None, datetime(2026, 12, 31, 18, 30)],  # noqa: DTZ001 - as in a workbook
        )
    )
    assert (ana.number, ana.max_uses, ana.expires_at) == (
        2,
        2,
        datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
    )
    assert (budi.number, budi.recipient_name, budi.expires_at) == (
        4,
        None,
        datetime(2026, 12, 31, 18, 30, tzinfo=UTC),
    )


def changed(content: bytes, name: str, text: str) -> bytes:
    """A workbook with another part of that name."""
    file = BytesIO()
    with ZipFile(BytesIO(content)) as before, ZipFile(file, "w", ZIP_DEFLATED) as after:
        for member in before.namelist():
            after.writestr(member, text if member == name else before.read(member))
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
BOOK = workbook(["email"], ["ana@example.org"])


@pytest.mark.parametrize(
    "sheet",
    [
        "<worksheet><sheetData><row>",
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet><sheetData/></worksheet>',
        '<worksheet><sheetData><row r="99999999999"/></sheetData></worksheet>',
        '<worksheet><sheetData><row r="2"/><row r="2"/></sheetData></worksheet>',
        '<worksheet><sheetData><row r="-1"/></sheetData></worksheet>',
        '<worksheet><sheetData><row><c t="s"><v>99</v></c></row></sheetData></worksheet>',
        "<worksheet><sheetData><row><c><v>word</v></c></row></sheetData></worksheet>",
        f'<worksheet x="{"y" * 6_000_000}"/>',
    ],
)
def test_a_strange_workbook_is_refused(sheet: str) -> None:
    with pytest.raises(FileRefused):
        understood(changed(BOOK, SHEET, sheet))


def test_a_row_of_a_million_cells_is_cut() -> None:
    cells = "<c><v>1</v></c>" * 1_000_000
    sheet = f"<worksheet><sheetData><row>{cells}</row></sheetData></worksheet>"
    with tables.opened(BytesIO(changed(BOOK, SHEET, sheet))) as rows:
        [row] = rows
    assert len(row.cells) == 100


def test_a_giant_cell_of_a_workbook_is_cut() -> None:
    [draft] = understood(
        changed(
            BOOK,
            SHEET,
            "<worksheet><sheetData><row><c t='inlineStr'><is><t>"
            + "x" * 5_000_000
            + "</t></is></c></row></sheetData></worksheet>",
        )
    )
    assert "is not an e-mail address" in (draft.problem or "")


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b" " * 101 * 1024 * 1024)
    with pytest.raises(FileRefused, match="too large"):
        understood(file.getvalue())


@pytest.mark.parametrize("length", [10, 200, 1000, 3000])
def test_a_workbook_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(FileRefused):
        understood(BOOK[:length])


# --- Pasted ---


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        ("ana@example.org", [("ana@example.org", None)]),
        (
            "ana@example.org, budi@example.org",
            [("ana@example.org", None), ("budi@example.org", None)],
        ),
        ("Ana Putri <ana@example.org>;\r\n", [("ana@example.org", "Ana Putri")]),
        ("email\tname\nana@example.org\tAna", [("ana@example.org", "Ana")]),
        ("surel;nama\nana@example.org;Ana", [("ana@example.org", "Ana")]),
    ],
)
def test_what_is_pasted_is_a_list_or_a_table(
    pasted: str, found: list[tuple[str, str | None]]
) -> None:
    drafts = understood(parsing.listed(pasted).encode())
    assert [(draft.recipient, draft.recipient_name) for draft in drafts] == found


# case 71
@pytest.mark.parametrize("letter", [*'(<"@[:\\\t ', "a.", "<@a,", "(a)", "a<b@c>"])
def test_whatever_is_pasted_becomes_a_table(letter: str) -> None:
    longest = letter * (500_000 // len(letter))
    entries = "\n".join([letter * 300 + ">"] * 1000)

    for pasted in (longest, longest + ">", entries):
        assert parsing.listed(pasted) is not None


# case 71
@pytest.mark.parametrize("letter", ["(", "(a", "_ "])
def test_a_giant_heading_means_nothing(letter: str) -> None:
    [draft] = understood(f"{letter * 30_000},email\n,ana@example.org\n".encode())
    assert draft.recipient == "ana@example.org"
