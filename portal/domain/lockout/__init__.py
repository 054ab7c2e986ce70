"""Rate limits: attempts left, lockouts, and the unlock desk."""
