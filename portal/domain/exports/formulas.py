"""Cells that a spreadsheet would take for a formula: made harmless, and given back as they were.

A quotation mark in front makes a text of them (OWASP, "CSV Injection"). One is put before those
that have one already, too, so that no two cells become the same and each can be restored.
"""

import re

# A cell that begins otherwise is harmless.
SIGNS = frozenset("=+-@\t\r\n＝＋－＠'")
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def neutralise(cell: str) -> str:
    """The cell as every spreadsheet shows it and none computes it."""
    return "'" + cell if cell[:1] in SIGNS and _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """The cell as it was before `neutralise`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
