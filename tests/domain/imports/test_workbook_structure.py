"""Workbooks that unpack to more than they seem: refused before any reader sees them (case 83)."""

import struct
from collections.abc import Callable
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, BadZipFile, ZipFile

import pytest
from openpyxl import Workbook

from portal.domain.errors import FileRefused
from portal.domain.imports import workbook_structure
from portal.domain.imports.workbook_structure import examine

MEGABYTE = 1024 * 1024
END = struct.Struct("<4s4H2LH")


def saved() -> bytes:
    """A workbook as openpyxl writes it."""
    book, file = Workbook(), BytesIO()
    book.active.append(["ana@example.org"])
    book.save(file)
    return file.getvalue()


def packed(*members: tuple[str, bytes | str], method: int = ZIP_DEFLATED) -> bytes:
    """A ZIP of these."""
    file = BytesIO()
    with ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def sheet(xml: bytes | str) -> bytes:
    """A ZIP with this sheet."""
    return packed(("xl/worksheets/sheet1.xml", xml))


def why(content: bytes) -> str:
    """With which words it is refused."""
    with pytest.raises((FileRefused, BadZipFile)) as refusal:
        examine(BytesIO(content))
    return str(refusal.value)


def changed_end(content: bytes, **changes: int) -> bytes:
    """A ZIP whose end record says something else."""
    names = ("mark", "disk", "first", "here", "entries", "size", "start", "comment")
    fields = dict(zip(names, END.unpack(content[-END.size :]), strict=True)) | changes
    return content[: -END.size] + END.pack(*fields.values())


def test_what_spreadsheet_programs_write_is_let_through() -> None:
    examine(BytesIO(saved()))
    examine(BytesIO(packed(("xl/media/image1.png", b"\x89PNG" + b"x" * MEGABYTE))))


@pytest.mark.parametrize("depth", [33, 1_000_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    assert "too large" in why(sheet("<a>" * depth))


def test_nesting_of_thirty_two_is_taken() -> None:
    examine(BytesIO(sheet("<a>" * 32 + "</a>" * 32)))


def test_a_name_that_says_it_is_no_xml_helps_nothing() -> None:
    assert "too large" in why(packed(("xl/worksheets/sheet1.bin", "<a>" * 33)))


def test_millions_of_elements_are_refused_before_they_are_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workbook_structure, "expat", None)

    assert "too large" in why(sheet("<a>" + "<b/>" * 20_000_000 + "</a>"))


def test_elements_are_counted_over_all_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_structure, "MOST_TAGS", 1000)
    half = "<a>" + "<b/>" * 600 + "</a>"

    examine(BytesIO(packed(("a.xml", half))))
    assert "too large" in why(packed(("a.xml", half), ("b.xml", half)))


def test_what_unpacks_to_more_than_a_hundred_megabytes_is_refused() -> None:
    part = b" " * 51 * MEGABYTE
    assert "too large" in why(packed(("a.xml", part), ("b.xml", part)))


def test_what_unpacks_to_more_than_it_says_is_cut_off_or_refused() -> None:
    content = bytearray(packed(("a.bin", b"\0" * 120 * MEGABYTE)))
    real = struct.pack("<L", 120 * MEGABYTE)
    lie = struct.pack("<L", 100)
    why(bytes(content).replace(real, lie))


@pytest.mark.parametrize(
    "xml",
    [
        f'<a b="{"x" * 3 * MEGABYTE}"/>',
        f"<a><!--{'x' * 3 * MEGABYTE}--></a>",
        f"<{'x' * 3 * MEGABYTE}/>",
        "<a " + " ".join(f"b{number}='1'" for number in range(400_000)) + "/>",
    ],
    ids=["attribute", "comment", "name", "attributes"],
)
def test_giant_tokens_are_refused(xml: str) -> None:
    assert "strangely" in why(sheet(xml))


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd">',
    ],
)
def test_entities_and_document_types_are_refused(doctype: str) -> None:
    assert "DOCTYPE" in why(sheet(f"{doctype}<a>&c;</a>"))


def test_thousands_of_entries_are_refused_before_a_list_of_them_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = packed(*[(f"{number:04}", b"") for number in range(2001)])
    monkeypatch.setattr(workbook_structure, "ZipFile", None)

    assert "too large" in why(content)


def test_a_directory_larger_than_it_should_be_is_refused_whatever_its_count() -> None:
    content = packed(*[(f"{number:0200}", b"") for number in range(6000)])

    assert "too large" in why(changed_end(content, here=1, entries=1))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: changed_end(content, here=1, entries=1),
        lambda content: changed_end(content, disk=1),
        lambda content: changed_end(content, start=0),
        lambda content: changed_end(content, comment=3) + b"abc",
        lambda content: content + b"\0" * 100,
        lambda content: b"MZ" * 100 + content,
        lambda content: content[:-1],
        lambda _: b"PK\3\4",
        lambda content: content.replace(b"PK\1\2", b"PK\1\3"),
    ],
)
def test_an_archive_that_can_be_read_in_two_ways_is_refused(
    change: Callable[[bytes], bytes],
) -> None:
    why(change(saved()))


def test_the_longer_form_of_the_end_record_is_held_to_the_same_limits() -> None:
    content = packed(("a.xml", "<a/>"))
    *_, entries, size, start, _ = END.unpack(content[-END.size :])

    def longer(entries: int, size: int) -> bytes:
        end = len(content) - END.size
        record = struct.pack(
            "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, start
        )
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
        return content[:end] + record + locator + content[end:]

    examine(BytesIO(longer(entries, size)))
    assert "too large" in why(longer(1_200_000, size))
    assert "too large" in why(longer(entries, 2**40))
    assert "strangely" in why(longer(entries, size - 1))


def test_entries_that_share_their_bytes_are_refused() -> None:
    content = packed(("a.xml", b" " * MEGABYTE), ("b.xml", b" " * MEGABYTE))
    second = content.rindex(b"PK\1\2")
    overlapping = bytearray(content)
    struct.pack_into("<L", overlapping, second + 42, 0)  # where its local header is

    assert "strangely" in why(bytes(overlapping))


def test_two_entries_of_one_name_are_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        content = packed(("a.xml", "<a/>"), ("a.xml", "<b/>"))
    assert "strangely" in why(content)


def test_a_password_and_other_ways_to_pack_are_refused() -> None:
    content = bytearray(packed(("a.xml", "<a/>")))
    content[content.index(b"PK\1\2") + 8] |= 1
    assert "locked" in why(bytes(content))
    assert "strangely" in why(packed(("a.xml", "<a/>"), method=ZIP_BZIP2))
