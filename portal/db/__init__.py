"""How the portal speaks to its database: by the session, or by hot statements (`hot.py`)."""
