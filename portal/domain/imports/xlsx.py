"""Reads the first sheet of an XLSX workbook (ECMA-376), row by row.

Written here because files come from outside: readers that build trees hold a whole row in memory,
however many million cells it has, and every shared string. Here strings are kept on disk. Depth and
size limits are enforced by `workbook_structure`.
"""

import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import IO
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile, ZipFile

from portal.domain.errors import FileRefused
from portal.domain.imports import workbook_structure
from portal.domain.imports.xml_scanner import Attributes, Scanner

MOST_COLUMNS = 100
MOST_ROWS = 1_048_576  # a sheet's maximum
LONGEST_TEXT = 2_000  # characters; longer cells are cut
DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}

_NOT_A_PART_OF_DATES = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.')

Cell = str | datetime


class _Texts:
    """Texts in order, on disk; only their end offsets are in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> str:
        if not 0 <= place < len(self):
            raise IndexError
        begin, end = self._ends[place : place + 2]
        self._file.seek(begin)
        return self._file.read(end - begin).decode()

    def append(self, text: str) -> None:
        """Add a text; not after the first one was read."""
        self._ends.append(self._ends[-1] + self._file.write(text.encode()))


@dataclass(frozen=True)
class _Workbook:
    """What the workbook's other parts say."""

    sheet: str
    strings: _Texts
    date_styles: set[int]
    epoch: datetime


def rows(file: IO[bytes]) -> Iterator[tuple[int, list[Cell]]]:
    """Each row's number and cells. Raises `FileRefused`, at any row."""
    try:
        workbook_structure.examine(file)
        with ZipFile(file) as archive, TemporaryFile() as aside:
            workbook = _opened(archive, _Texts(aside))
            scanner = _Sheet(workbook)
            for _ in scanner.scan(archive, workbook.sheet):
                yield from scanner.rows
                scanner.rows.clear()
    except (BadZipFile, ExpatError, zlib.error, LookupError, ValueError) as error:
        raise FileRefused("This workbook is broken. Save it again, or as CSV.") from error
    except (OverflowError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise FileRefused("This workbook is locked, or packed strangely.") from error


def _opened(archive: ZipFile, texts: _Texts) -> _Workbook:
    book, links, styles, strings = _Book(), _Links(), _Styles(), _Strings(texts)
    book.read(archive, "xl/workbook.xml")
    links.read(archive, "xl/_rels/workbook.xml.rels")
    if "xl/styles.xml" in archive.namelist():
        styles.read(archive, "xl/styles.xml")
    if "xl/sharedStrings.xml" in archive.namelist():
        strings.read(archive, "xl/sharedStrings.xml")
    target = links.targets[book.sheets[0]]
    sheet = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    epoch = datetime(1904, 1, 1) if book.since_1904 else datetime(1899, 12, 30)  # noqa: DTZ001
    return _Workbook(sheet, texts, styles.dates, epoch)


class _Book(Scanner):
    """xl/workbook.xml: the sheets in order, and the epoch of dates."""

    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[str] = []
        self.since_1904 = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "sheet" and not self.sheets:
            self.sheets.append(attributes["id"])
        elif name == "workbookPr":
            self.since_1904 = attributes.get("date1904") in {"1", "true"}


class _Links(Scanner):
    """xl/_rels/workbook.xml.rels: where each sheet is."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: dict[str, str] = {}

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
            self.targets[attributes["Id"]] = attributes["Target"]


class _Styles(Scanner):
    """xl/styles.xml: which styles format a number as a date."""

    def __init__(self) -> None:
        super().__init__()
        self.dates: set[int] = set()
        self._formats = set(DATE_FORMATS)
        self._inside, self._count = False, 0

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "numFmt":
            code = _NOT_A_PART_OF_DATES.sub("", attributes["formatCode"][:LONGEST_TEXT]).lower()
            if set(code) & set("dmyh"):
                self._formats.add(int(attributes["numFmtId"]))
        elif name == "cellXfs":
            self._inside = True
        elif name == "xf" and self._inside:
            if int(attributes.get("numFmtId", 0)) in self._formats:
                self.dates.add(self._count)
            self._count += 1

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._inside = False


class _Strings(Scanner):
    """xl/sharedStrings.xml: texts that cells refer to by index."""

    def __init__(self, found: _Texts) -> None:
        super().__init__(text_of=("t",), but_within="rPh", longest=LONGEST_TEXT)
        self.found = found

    def end(self, name: str) -> None:
        if name == "si":
            self.found.append(self.take_text())


@dataclass
class _Place:
    column: int = -1
    kind: str = "n"
    style: int = 0


@dataclass
class _Current:
    number: int = 0
    cells: list[Cell] = field(default_factory=list)


class _Sheet(Scanner):
    """A worksheet. `rows` are those parsed since they were last taken."""

    def __init__(self, workbook: _Workbook) -> None:
        super().__init__(text_of=("v", "t"), but_within="rPh", longest=LONGEST_TEXT)
        self.rows: list[tuple[int, list[Cell]]] = []
        self._workbook = workbook
        self._row, self._place = _Current(), _Place()

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "row":
            before = self._row.number
            self._row, self._place = _Current(int(attributes.get("r", before + 1))), _Place()
            if not before < self._row.number <= MOST_ROWS:
                raise ValueError("rows out of order")
        elif name == "c":
            where = attributes.get("r")
            column = _column(where) if where else self._place.column + 1
            kind, style = attributes.get("t", "n"), int(attributes.get("s", 0))
            self._place = _Place(column, kind, style)

    def end(self, name: str) -> None:
        if name == "c":
            text = self.take_text()
            if text and 0 <= self._place.column < MOST_COLUMNS:
                cells = self._row.cells
                cells.extend([""] * (self._place.column + 1 - len(cells)))
                cells[self._place.column] = self._value(text)
        elif name == "row":
            self.rows.append((self._row.number, self._row.cells))

    def _value(self, text: str) -> Cell:
        if self._place.kind == "s":
            return self._workbook.strings[int(text)]
        if self._place.kind != "n":
            return text
        number = float(text)
        if self._place.style in self._workbook.date_styles:
            whole = self._workbook.epoch + timedelta(days=number)
            return (whole + timedelta(microseconds=500_000)).replace(microsecond=0)
        return str(int(number)) if number.is_integer() else text


def _column(where: str) -> int:
    """0 for A1, 26 for AA1; out of range for a column no sheet has."""
    letters = where.rstrip("0123456789")
    if not 1 <= len(letters) <= 3:
        return MOST_COLUMNS
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1
