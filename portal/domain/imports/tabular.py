"""Reads tables row by row in constant memory: CSV of any dialect, and XLSX."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from typing import IO

from portal.domain.imports import xlsx
from portal.domain.imports.xlsx import LONGEST_TEXT, MOST_COLUMNS, Cell

PIECE = 1024 * 1024  # bytes
LONGEST_LINE = 100_000  # characters; no real table has longer rows
DELIMITERS = ",;\t|"
TOO_LONG = "\N{OBJECT REPLACEMENT CHARACTER}"  # replaces a cell that is too long to keep
WORKBOOK = b"PK\3\4"  # how a ZIP archive begins


@dataclass(frozen=True)
class Row:
    """One row; `number` is the line where it begins in the file."""

    number: int
    cells: list[Cell]


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Iterator[Row]]:
    """The non-empty rows of a file. Raises `FileRefused`, at any row."""
    file.seek(0)
    if file.read(len(WORKBOOK)) == WORKBOOK:
        yield _with_content(xlsx.rows(file))
        return
    encoding = _encoding(file)
    file.seek(0)
    text = TextIOWrapper(file, encoding, errors="replace", newline="")
    try:
        yield _with_content(_parsed(_lines(text)))
    finally:
        text.detach()


def _with_content(rows: Iterable[tuple[int, list[Cell]]]) -> Iterator[Row]:
    for number, cells in rows:
        if any(not isinstance(cell, str) or cell.strip() for cell in cells):
            yield Row(number, cells)


def _encoding(file: IO[bytes]) -> str:
    """UTF-8 if the whole file is valid, else Windows' version of Latin-1."""
    file.seek(0)
    if file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return "utf-16"
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _lines(text: TextIOWrapper) -> Iterator[str]:
    """The lines, with those that are too long replaced."""
    while line := text.readline(LONGEST_LINE):
        is_whole = line.endswith("\n") or len(line) < LONGEST_LINE
        yield line if is_whole else TOO_LONG
        while not is_whole:
            rest = text.readline(LONGEST_LINE)
            is_whole = rest.endswith("\n") or len(rest) < LONGEST_LINE


def _parsed(lines: Iterator[str]) -> Iterator[tuple[int, list[Cell]]]:
    first, skipped = next(lines, ""), 0
    delimiter = _delimiter(first)
    if first.lower().startswith("sep="):  # Excel's way to declare the delimiter
        delimiter, skipped = first[4:5].strip("\r\n") or ",", 1
    else:
        lines = chain([first], lines)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        number = reader.line_num + skipped + 1
        try:
            cells: list[Cell] = [cell[:LONGEST_TEXT] for cell in next(reader)[:MOST_COLUMNS]]
        except StopIteration:
            return
        except csv.Error:  # an unclosed quotation mark
            cells = [TOO_LONG]
        yield number, cells


def _delimiter(line: str) -> str:
    outside_quotes = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside_quotes.count)
