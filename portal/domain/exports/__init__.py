"""Exports of invitations as CSV and XLSX."""
