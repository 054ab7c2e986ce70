"""Accounts: registration, sign-in, credentials, profiles, deletion."""
