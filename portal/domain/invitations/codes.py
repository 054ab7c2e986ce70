"""Codes: alphabet, canonical form and check symbol; digests and seals.

A generated code is twelve characters of Crockford's base 32
(https://www.crockford.com/base32.html): eleven random ones (55 bits) and a check symbol. The symbol
is that of a Reed-Solomon code over GF(32), so any single wrong character and any swap of two
characters is detected.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from struct import Struct
from uuid import UUID

from portal.domain.crypto import keys, sealing
from portal.domain.errors import CodeIncomplete, CodeMistyped, UnsuitableCode

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 12
SHORTEST_OWN, LONGEST_OWN = 6, 32
LONGEST_INPUT = 100
SEAL = "invitation seal"  # the purpose its key is derived for
MASKED = "****-****-****"  # stands where a code is withheld

_VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)}
_SYMBOLS, _GROUPS = ALPHABET.encode(), Struct("4s 4s 4s")
_LEFT_OUT = re.compile(r"[^\w.+!]")  # \w: letters and digits of every script, and _
_LOOKALIKES = str.maketrans("OIL", "011")
_LOOKALIKES_OF = {"0": "O", "1": "IL"}
_BETWEEN = r"(?:%[0-9A-F]{2}|[^\w.+!])*"  # separators between a code's symbols, also in a URL
_GENERATOR = 0b100101  # x^5 + x^2 + 1, primitive over GF(2)


def draw() -> str:
    """A new random code, in canonical form."""
    bits = secrets.randbits(5 * (LENGTH - 1))
    body = "".join(ALPHABET[bits >> 5 * place & 31] for place in range(LENGTH - 1))
    return body + check_symbol(body)


def check_symbol(body: str) -> str:
    """The symbol that completes `body`: the sum of its values, each times its own power of x."""
    total = 0
    for symbol in body:
        total = (total ^ _VALUES[symbol]) << 1
        if total & 0b100000:
            total ^= _GENERATOR
    return ALPHABET[total]


def canonical(text: str) -> str:
    """The canonical form of typed text: no case, spaces, dashes or look-alikes; "" if too long."""
    if len(text) > LONGEST_INPUT:
        return ""
    upper = unicodedata.normalize("NFKC", text).upper()
    return _LEFT_OUT.sub("", upper).translate(_LOOKALIKES)


def has_our_form(code: str) -> bool:
    """Whether a canonical code has the form of a generated one, apart from the check symbol."""
    return len(code) == LENGTH and not code.strip(ALPHABET)


def require_complete(text: str) -> None:
    """Raise `CodeIncomplete` or `CodeMistyped` unless `text` is a complete code.

    While somebody is typing, only complete codes are worth a lookup.
    """
    code = canonical(text)
    if not has_our_form(code):
        raise CodeIncomplete(typed=len(code))
    if check_symbol(code[:-1]) != code[-1]:
        raise CodeMistyped


def require_suitable(code: str) -> None:
    """Raise `UnsuitableCode` unless `code`, as typed, may serve as a custom code."""
    form = canonical(code)
    if len(code) > LONGEST_OWN or not SHORTEST_OWN <= len(form) <= LONGEST_OWN:
        raise UnsuitableCode(
            f"A code of your own has {SHORTEST_OWN} to {LONGEST_OWN} letters or digits."
        )
    if has_our_form(form) and check_symbol(form[:-1]) != form[-1]:
        raise UnsuitableCode(
            "Twelve characters look like one of our own codes with a typo. Add or drop one."
        )


def is_guessable(code: str) -> bool:
    """Whether a custom code is too easy to guess (zxcvbn: under a thousand million guesses)."""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its word lists take long to load

    return bool(zxcvbn(code.lower())["guesses"] < 1e9)


def grouped(code: str) -> str:
    """The code in display form: generated ones in groups of four, custom ones unchanged."""
    return f"{code[:4]}-{code[4:8]}-{code[8:]}" if has_our_form(code) else code


def _all_grouped(codes: Sequence[bytes]) -> list[str]:
    """`grouped` for a whole page, faster if all are generated."""
    whole = b"".join(codes)
    if {len(code) for code in codes} == {LENGTH} and not whole.translate(None, _SYMBOLS):
        return [b"-".join(parts).decode() for parts in _GROUPS.iter_unpack(whole)]
    return [grouped(code.decode()) for code in codes]


def masked(text: str, code: str) -> str:
    """`text` with every occurrence of `code` masked, however spaced, cased or quoted."""
    form = canonical(code)
    written = _BETWEEN.join(
        f"[{re.escape(symbol)}{_LOOKALIKES_OF.get(symbol, '')}]" for symbol in form
    )
    return re.sub(written, MASKED, text, flags=re.IGNORECASE) if form else text


def hint(code: str) -> str:
    """The last four characters: enough to tell codes apart, too few to redeem one."""
    return canonical(code)[-4:]


def lookup(code: str) -> bytes:
    """The keyed digest (32 bytes) by which a code is found; useless without the key."""
    return keys.mac("invitation lookup", canonical(code).encode())


def lookups(code: str) -> list[bytes]:
    """The digests a code may be stored under: by the current key and by those it replaced."""
    return keys.macs("invitation lookup", canonical(code).encode())


def seal(code: str, row: UUID) -> bytes:
    """The code, sealed to its row so that seals cannot be swapped."""
    return sealing.seal(code.encode(), purpose=SEAL, row=row.bytes)


def unseal(sealed: bytes, row: UUID) -> str:
    """The code again, by the key in use or one it replaced; raises `InvalidTag` if none fits."""
    return sealing.unseal(sealed, purpose=SEAL, row=row.bytes).decode()


def unseal_all(sealed: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """A page of seals, each with the 16 bytes of its row, as people read the codes."""
    return _all_grouped(sealing.unseal_all(sealed, purpose=SEAL))
