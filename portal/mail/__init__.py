"""Message templates, and the delivery of mail."""
