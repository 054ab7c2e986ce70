"""Mails as rows: queued, resent, reminded, unsubscribed from."""
