"""XLSX workbooks (ECMA-376) with one table, streamed: nothing is kept in memory.

All cells are text, except whole numbers. A table too long for one sheet continues on the next.
"""

from collections.abc import Iterable, Iterator
from io import RawIOBase
from itertools import chain, islice
from re import compile as pattern
from typing import Any
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

ROWS_A_SHEET = 1_000_000
ROWS_A_PIECE = 500
LONGEST_CELL = 32_767  # characters; longer ones break the workbook

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET = (
    f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    "</sheetView></sheetViews><sheetData>"
)
_NOT_IN_XML = pattern("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class _Outlet(RawIOBase):
    """A file object that passes on what is written to it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def pieces(heading: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    """The workbook, in chunks."""
    outlet, remaining, sheets = _Outlet(), iter(rows), 0
    with ZipFile(outlet, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        first = list(islice(remaining, 1))
        while first or not sheets:
            sheets += 1
            body = islice(chain(first, remaining), ROWS_A_SHEET)
            yield from _sheet(archive, outlet, sheets, chain([heading], body))
            first = list(islice(remaining, 1))
        for name, content in _parts(sheets).items():
            archive.writestr(name, _HEAD + content)
    yield outlet.take()


def _sheet(
    archive: ZipFile, outlet: _Outlet, number: int, rows: Iterator[Iterable[object]]
) -> Iterator[bytes]:
    with archive.open(f"xl/worksheets/sheet{number}.xml", "w") as sheet:
        sheet.write(_SHEET.encode())
        while some := "".join(map(_row, islice(rows, ROWS_A_PIECE))):
            sheet.write(some.encode())
            if piece := outlet.take():
                yield piece
        sheet.write(b"</sheetData></worksheet>")


def _row(cells: Iterable[object]) -> str:
    return f"<row>{''.join(map(_cell, cells))}</row>"


def _cell(cell: object) -> str:
    if isinstance(cell, int):
        return f"<c><v>{cell}</v></c>"
    if not cell:
        return "<c/>"
    text = escape(_NOT_IN_XML.sub("", str(cell)[:LONGEST_CELL]))
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _parts(sheets: int) -> dict[str, str]:
    """The parts of a workbook other than its sheets."""
    numbers = range(1, sheets + 1)
    listed = "".join(f'<sheet name="Sheet{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        for n in numbers
    )
    return {
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f"{links}</Relationships>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1"'
        f' Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f"{types}</Types>",
    }
