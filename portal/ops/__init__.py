"""What keeps a portal running, beside what it does."""
