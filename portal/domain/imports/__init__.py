"""Imports of recipients from files: upload, parsing, preview, confirmation."""
