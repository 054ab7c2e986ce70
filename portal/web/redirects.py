"""Checks of redirect targets: pages of the portal, nothing else."""

from urllib.parse import urlsplit


def local_path(target: str | None) -> str | None:
    """Return `target` if it is a plain path on this host, else None.

    Browsers read a backslash as a slash, and drop tabs and newlines, so none of these is accepted.
    """
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    if "\\" in target or any(ord(character) < 0x21 for character in target):
        return None
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc else None
