"""What programs present: API tokens, JWTs, and the dialects' own."""
