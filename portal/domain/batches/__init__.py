"""Batches: many invitations issued at once."""
