"""What the portal knows of its own running: its key, its last backup, its worker's tasks."""
