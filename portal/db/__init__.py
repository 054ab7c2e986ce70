"""Database access: the session, or hot statements (`hot.py`)."""
