"""People with an account: registration, sign-in, credentials, deletion."""
