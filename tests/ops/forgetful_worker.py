"""The worker, with so little memory that a test can fill it."""

from portal.ops import gunicorn_worker
from portal.ops.gunicorn_worker import BufferingWorker

gunicorn_worker.MEMORY_LIMIT = 2 * 1024 * 1024

__all__ = ["BufferingWorker"]
