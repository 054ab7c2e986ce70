"""Neutralises cells that a spreadsheet would take for a formula, and restores them.

A leading apostrophe makes them text (OWASP, "CSV Injection"). Formulas that already have
one get another, so that no two cells become equal and each can be restored.
"""

import re

# The first characters of cells to neutralise; all others are harmless.
SIGNS = frozenset("=+-@\t\r\n＝＋－＠'")
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def neutralise(cell: str) -> str:
    """The cell in a form that spreadsheets display and do not evaluate."""
    return "'" + cell if cell[:1] in SIGNS and _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """The inverse of `neutralise`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
