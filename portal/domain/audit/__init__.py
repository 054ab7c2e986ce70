"""The audit log: recorded, linked, searched, forgotten."""
