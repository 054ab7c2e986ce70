"""Key derivation, and sealing of secrets."""
