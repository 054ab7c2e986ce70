"""Parses recipients, as a table with headings or as a plain list.

Headings are English or Indonesian, in any order; without them, the columns are e-mail, name, label,
uses and expiry. An empty cell falls back to the terms of the batch.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from email.utils import getaddresses
from io import StringIO
from unicodedata import category
from zoneinfo import ZoneInfo

from portal.domain.accounts import emails
from portal.domain.batches.staging import Draft
from portal.domain.errors import FileRefused, InvalidEmail, PortalError
from portal.domain.exports import formulas
from portal.domain.imports.tabular import TOO_LONG, Row
from portal.domain.imports.xlsx import Cell

LONGEST_NAME = 120  # characters
LONGEST_ENTRY = 400  # characters: a name and an address; parsing time is quadratic in it
MOST_USES = 1_000_000
LAST_YEAR = 3000
COLUMNS = ("email", "name", "label", "uses", "expires", "language")
HEADINGS = {
    "email": "email, mail, e mail, email address, e mail address, recipient, address,"
    " surel, alamat surel, alamat email, alamat e mail, penerima",
    "name": "name, full name, recipient name, guest, nama, nama lengkap, nama penerima, tamu",
    "label": "label, note, group, keterangan, catatan, kelompok",
    "uses": "uses, max uses, maximum uses, number of uses, jumlah pemakaian, pemakaian,"
    " jumlah penggunaan, penggunaan, maksimal pemakaian",
    "expires": "expires, expires at, expires on, expiry, expiry date, ends, end, until,"
    " valid until, berlaku sampai, berlaku hingga, kedaluwarsa, kadaluarsa, sampai, hingga",
    "language": "language, bahasa",
}
LANGUAGES = {
    "en": "en, english, inggris, bahasa inggris",
    "id": "id, indonesian, indonesia, bahasa indonesia",
}
UNLIMITED = {"unlimited", "any", "any number", "tak terbatas", "tidak terbatas", "bebas", "∞"}
NEVER = {"never", "no end", "none", "selamanya", "tidak pernah", "tanpa batas"}
DATES = ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y")
TIMES = ("", " %H:%M", " %H:%M:%S", " %H.%M")

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_APART = re.compile(r"[\n,;]+")


def _by_word(words: dict[str, str]) -> dict[str, str]:
    return {word.strip(): name for name, line in words.items() for word in line.split(",")}


_FIELDS, _TONGUES = _by_word(HEADINGS), _by_word(LANGUAGES)


class _Problem(PortalError):
    """A problem with one row."""


@dataclass(frozen=True)
class Terms:
    """Defaults for empty cells; `zone` applies to times without one."""

    label: str
    max_uses: int | None
    expires_at: datetime | None
    mailed: bool
    zone: ZoneInfo


def drafts(rows: Iterable[Row], terms: Terms, *, now: datetime, after: int = 0) -> Iterator[Draft]:
    """A draft for each row after line `after`; an invalid one carries its problem.

    Raises `FileRefused`.
    """
    columns: dict[int, str] = {}
    for row in rows:
        if not columns:
            columns, terms = _columns(row, terms)
            if columns:
                continue
            columns = dict(enumerate(COLUMNS))
        if row.number > after:
            yield _draft(row, columns, terms, now)


def listed(text: str) -> str:
    """Pasted text as a table: unchanged if it is one, else one address with its name per row."""
    text = text.replace("\r\n", "\n").strip()
    first = text.partition("\n")[0]
    if "\t" in first or _named(re.split("[,;|]", first)):
        return text
    table = StringIO()
    writer = csv.writer(table)
    for entry in _APART.split(text):
        if entry.strip():
            writer.writerow(_address_and_name(entry.strip()))
    return table.getvalue()


def _address_and_name(entry: str) -> tuple[str, str]:
    if not entry.endswith(">") or len(entry) > LONGEST_ENTRY:
        return entry, ""
    found = getaddresses([entry])
    if len(found) != 1 or not found[0][1]:
        return entry, ""
    [(name, address)] = found
    return address, name


def _columns(row: Row, terms: Terms) -> tuple[dict[int, str], Terms]:
    """The column mapping, if this row is one of headings, and the terms with the zone it names."""
    names = [str(cell) for cell in row.cells]
    columns = _named(names)
    if len(set(columns.values())) < len(columns):
        raise FileRefused("Two columns of this file have the same heading.")
    in_utc = any("utc" in names[place].lower() for place in columns if columns[place] == "expires")
    return columns, replace(terms, zone=ZoneInfo("UTC")) if in_utc else terms


def _named(names: list[str]) -> dict[int, str]:
    found = {place: _FIELDS.get(_word(name), "") for place, name in enumerate(names)}
    return {place: field for place, field in found.items() if field}


def _word(heading: str) -> str:
    """A heading without case, punctuation or bracketed parts."""
    bare = re.sub(r"\([^()]*\)", "", heading.lower())
    return " ".join(re.findall(r"\w+", bare.replace("_", " ")))


def _draft(row: Row, columns: dict[int, str], terms: Terms, now: datetime) -> Draft:
    """The parsed row; with a problem, everything readable is kept beside the first one."""
    cells = {columns[place]: cell for place, cell in enumerate(row.cells) if place in columns}
    draft = Draft(
        number=row.number,
        label=terms.label,
        max_uses=terms.max_uses,
        expires_at=terms.expires_at,
        recipient_name=_shown(cells.get("name")),
    )
    try:
        _require_readable(row)
        draft = draft._replace(recipient=_recipient(_text(cells, "email"), terms))
        return draft._replace(
            recipient_name=_line(_text(cells, "name"), "name") or None,
            label=_line(_text(cells, "label"), "label") or terms.label,
            language=_language(_text(cells, "language")),
            max_uses=_uses(_text(cells, "uses"), terms),
            expires_at=_expires(cells.get("expires", ""), terms, now),
        )
    except PortalError as problem:
        return draft._replace(problem=str(problem))


def _require_readable(row: Row) -> None:
    text = "".join(cell for cell in row.cells if isinstance(cell, str))
    if TOO_LONG in text:
        raise _Problem("This line is too long, or a quotation mark is never closed.")
    if _UNREADABLE in text or "\0" in text:
        raise _Problem("This line has characters that cannot be read. Save the file as UTF-8.")


def _text(cells: dict[str, Cell], field: str) -> str:
    return formulas.restore(str(cells.get(field, "")).strip())


def _shown(cell: Cell | None) -> str | None:
    """An unvalidated cell, made safe to store and show."""
    kept = "".join(letter for letter in str(cell or "") if category(letter)[0] != "C")
    return kept.strip()[:LONGEST_NAME] or None


def _line(text: str, field: str) -> str:
    if len(text) > LONGEST_NAME:
        raise _Problem(f"The {field} is longer than {LONGEST_NAME} characters.")
    if any(category(letter) == "Cc" for letter in text):
        raise _Problem(f"The {field} has a line break, or another character that cannot be seen.")
    return text


def _recipient(text: str, terms: Terms) -> str | None:
    if not text:
        if terms.mailed:
            raise _Problem("There is no e-mail address to send it to.")
        return None
    try:
        recipient = emails.normalise_recipient(text)
    except InvalidEmail as error:
        shown = _shown(text[:40]) or "This"
        if str(error) == emails.COMPATIBILITY:
            raise _Problem(f"“{shown}”: {error}") from error
        raise _Problem(f"“{shown}” is not an e-mail address.") from error
    if terms.mailed and recipient.startswith("@"):
        raise _Problem("A whole domain cannot be written to.")
    return recipient


def _language(text: str) -> str | None:
    if not text:
        return None
    try:
        return _TONGUES[_word(text)]
    except KeyError as error:
        raise _Problem("The language is en or id.") from error


def _uses(text: str, terms: Terms) -> int | None:
    if not text:
        return terms.max_uses
    if text.lower() in UNLIMITED:
        return None
    if not re.fullmatch(r"[0-9]{1,7}", text) or not 1 <= int(text) <= MOST_USES:
        raise _Problem("Uses is a whole number from 1 to 1,000,000, or “unlimited”.")
    return int(text)


def _expires(cell: Cell, terms: Terms, now: datetime) -> datetime | None:
    if not cell or (isinstance(cell, str) and not cell.strip()):
        return terms.expires_at
    if isinstance(cell, str) and cell.strip().lower() in NEVER:
        return None
    moment = _moment(cell.strip()) if isinstance(cell, str) else cell
    if moment is None or moment.year >= LAST_YEAR:
        raise _Problem("The end is no date. Write it as 2026-12-31, or 31/12/2026 18:00.")
    if moment.tzinfo is None:
        moment = _end_of_day(moment).replace(tzinfo=terms.zone)
    if moment <= now:
        raise _Problem("It would have ended already.")
    return moment.astimezone(UTC)


def _end_of_day(moment: datetime) -> datetime:
    """A bare date includes the whole day."""
    return moment if moment.time() > time.min else datetime.combine(moment, time(23, 59, 59))


def _moment(text: str) -> datetime | None:
    text = formulas.restore(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in (date + hour for date in DATES for hour in TIMES):
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - its zone is added by the caller
        except ValueError:
            continue
    return None
