"""A streaming scanner for untrusted XML: it builds no tree and fetches nothing."""

from collections.abc import Container, Iterator
from xml.parsers import expat
from zipfile import ZipFile

PIECE = 64 * 1024  # bytes

Attributes = dict[str, str]


class Scanner:
    """Reads one part of an archive; subclasses interpret the elements.

    Names are stripped of namespaces. The text of elements in `text_of` is collected, up to
    `longest` characters, until it is taken.
    """

    def __init__(
        self, text_of: Container[str] = (), *, but_within: str = "", longest: int = 0
    ) -> None:
        self._text_of, self._but_within, self._longest = text_of, but_within, longest
        self._kept: list[str] = []
        self._length, self._deaf = 0, False
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def start(self, name: str, attributes: Attributes) -> None:
        """Called for each opening tag."""

    def end(self, name: str) -> None:
        """Called for each closing tag."""

    def take_text(self) -> str:
        """The text collected since the last call."""
        text = "".join(self._kept)
        self._kept.clear()
        self._length = 0
        return text

    def read(self, archive: ZipFile, name: str) -> None:
        """Scan a whole part. Raises whatever `zipfile` and expat raise."""
        for _ in self.scan(archive, name):
            pass

    def scan(self, archive: ZipFile, name: str) -> Iterator[None]:
        """Scan a part, yielding after each piece."""
        with archive.open(name) as part:
            while piece := part.read(PIECE):
                self._parser.Parse(piece)
                yield
            self._parser.Parse(b"", True)
        yield

    def _start(self, name: str, attributes: Attributes) -> None:
        name = name.rpartition("}")[2]
        if name == self._but_within:
            self._deaf = True
        if name in self._text_of and not self._deaf:
            self._parser.CharacterDataHandler = self._text
        self.start(name, {key.rpartition("}")[2]: value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        name = name.rpartition("}")[2]
        if name == self._but_within:
            self._deaf = False
        self._parser.CharacterDataHandler = None
        self.end(name)

    def _text(self, text: str) -> None:
        if self._length < self._longest:
            self._kept.append(text[: self._longest - self._length])
            self._length += len(text)
