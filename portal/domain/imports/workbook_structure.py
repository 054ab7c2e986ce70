"""Enforces limits on a workbook (a ZIP of XML) before any reader opens it.

Nothing the file says about itself is trusted: the directory is measured by its end record before
`zipfile` builds an object per entry, bytes and tags are counted while inflating, and all XML is
scanned for its depth. (APPNOTE.TXT 6.3.10, 4.3; ECMA-376, part 2.)
"""

import struct
from typing import IO
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from portal.domain.errors import FileRefused

MOST_ENTRIES = 2_000
LARGEST_DIRECTORY = 1024 * 1024  # bytes
LARGEST_UNPACKED = 100 * 1024 * 1024  # bytes, all entries together
DEEPEST = 32  # nested elements
MOST_TAGS = 10_000_000  # all entries together; an element has one or two
LONGEST_TOKEN = 1024 * 1024  # bytes: a tag or comment, which the parser holds in memory
PIECE = 64 * 1024  # bytes

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_LOCAL_HEADER = 30  # bytes, without the name
_ENCRYPTED = 1


def examine(file: IO[bytes]) -> None:
    """Raise `FileRefused` for a workbook over a limit, and as `zipfile` and expat do."""
    directory, entries = _directory(file)
    with ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) != entries:
            raise strange()
        _require_apart(members, directory)
        budget = _Budget()
        for look in (budget.measure, budget.scan):
            for member in members:
                look(archive, member)


def strange() -> FileRefused:
    """The error for a file no spreadsheet program would write."""
    return FileRefused("This workbook is packed strangely. Save it again, or as CSV.")


def too_large() -> FileRefused:
    """The error for content over a limit."""
    return FileRefused("This workbook is too large. Save it as CSV.")


def _directory(file: IO[bytes]) -> tuple[int, int]:
    """The directory's position and number of entries, by the end record `zipfile` uses.

    Only a record at the very end, without a comment, is unambiguous.
    """
    end = file.seek(0, 2) - _END.size
    if end < 0:
        raise BadZipFile
    file.seek(end)
    mark, disk, first_disk, here, entries, size, start, comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\5\6" or comment:
        raise BadZipFile
    if end >= _LOCATOR.size + _END_64.size:
        file.seek(end - _LOCATOR.size)
        if file.read(4) == b"PK\6\7":
            end -= _LOCATOR.size + _END_64.size
            file.seek(end)
            mark, *_, disk, first_disk, here, entries, size, start = _END_64.unpack(
                file.read(_END_64.size)
            )
            if mark != b"PK\6\6":
                raise strange()
    if entries > MOST_ENTRIES or size > LARGEST_DIRECTORY:
        raise too_large()
    if disk or first_disk or here != entries or start + size != end:
        raise strange()
    return start, entries


def _require_apart(members: list[ZipInfo], directory: int) -> None:
    """Require that entries have distinct names and do not overlap each other or the directory."""
    if len({member.filename for member in members}) < len(members):
        raise strange()
    free = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.flag_bits & _ENCRYPTED:
            raise FileRefused("This workbook is locked. Save it without a password, or as CSV.")
        if member.compress_type not in {ZIP_STORED, ZIP_DEFLATED} or member.header_offset < free:
            raise strange()
        free = member.header_offset + _LOCAL_HEADER + len(member.orig_filename)
        free += member.compress_size
    if free > directory:
        raise strange()
    if sum(member.file_size for member in members) > LARGEST_UNPACKED:
        raise too_large()


class _Budget:
    """What all entries together may unpack to."""

    def __init__(self) -> None:
        self._unpacked, self._tags, self._depth = 0, 0, 0

    def measure(self, archive: ZipFile, member: ZipInfo) -> None:
        """Count an entry's bytes and tags, which is much cheaper than parsing it."""
        with archive.open(member) as part:
            while piece := part.read(PIECE):
                self._unpacked += len(piece)
                self._tags += piece.count(b"<")
                if self._unpacked > LARGEST_UNPACKED or self._tags > MOST_TAGS:
                    raise too_large()

    def scan(self, archive: ZipFile, member: ZipInfo) -> None:
        """Scan an entry as far as it is XML, whatever its name."""
        parser, parsed = self._parser(), 0
        with archive.open(member) as part:
            while piece := part.read(PIECE):
                try:
                    parser.Parse(piece)
                except expat.ExpatError:  # a picture, for instance; no reader gets further
                    return
                parsed += len(piece)
                if parsed - parser.CurrentByteIndex > LONGEST_TOKEN:
                    raise strange()

    def _parser(self) -> expat.XMLParserType:
        self._depth = 0
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        return parser

    def _start(self, _name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise too_large()

    def _end(self, _name: str) -> None:
        self._depth -= 1


def _refuse_doctype(*_: object) -> None:
    raise FileRefused("This workbook holds a DOCTYPE, as none should. Save it as CSV.")
