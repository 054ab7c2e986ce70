"""Attempts left, lockouts, and the desk that unlocks."""
