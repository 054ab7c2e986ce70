"""The state of the installation: secret key, backups, retention, worker tasks."""
