"""Tokens of API clients: API tokens, JWTs, refresh tokens, and their signing keys."""
