"""Operations: the worker, gunicorn's buffering worker, backups, the doctor."""
