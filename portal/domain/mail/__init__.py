"""Mail: the outbox, its contents, resending, reminders and unsubscribing."""
