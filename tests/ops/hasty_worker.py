"""The worker, with deadlines that a test can wait for."""

from portal.ops import client_socket, gunicorn_worker
from portal.ops.gunicorn_worker import BufferingWorker

gunicorn_worker.HEAD_PATIENCE = 1.0
client_socket.PATIENCE = gunicorn_worker.PATIENCE = 2.0

__all__ = ["BufferingWorker"]
