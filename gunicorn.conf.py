"""How gunicorn serves the portal. It finds this file by its name: `gunicorn wsgi:app` is enough."""

import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"

# Threads wait for the database and for argon2 outside the interpreter lock; a second process
# does the rest. A client that is slow, or does nothing, holds no thread (portal/ops).
worker_class = "portal.ops.gunicorn_worker.BufferingWorker"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4

# A thread that comes back from the database, perhaps with a lock there, waits for the interpreter
# until another lets go of it: by default 5 ms, as long as ten queries.
sys.setswitchinterval(0.0005)

# A mistake in a setting stops the master once, instead of every worker again and again.
preload_app = True

# Each worker listens for itself and the kernel spreads connections; with one shared socket a worker
# can win every keep-alive connection. Only Linux spreads them.
reuse_port = sys.platform == "linux"

# Nothing here may be steered through a socket in somebody's home directory.
control_socket_disable = True

# A platform's stop signal is followed by a kill after 30 seconds (Heroku); be gone before that.
graceful_timeout = 20
timeout = 30
keepalive = 5

# The heartbeat is a file; on a slow disk it blocks the worker it watches.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None

# Prometheus' numbers of all workers meet in a folder, which has to be named before they are made.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="portal-metrics-"))

# Long-lived processes grow; the jitter keeps the workers from leaving together.
max_requests = 20_000
max_requests_jitter = 2_000

# The longest honest request line is a mailed link; the rest is somebody trying.
limit_request_line = 4096
limit_request_fields = 60
limit_request_field_size = 8190

# Whom to believe about addresses and https is decided once, by TRUSTED_PROXIES in the portal.
# Here, nobody; said outright, because platforms set FORWARDED_ALLOW_IPS=* in the environment.
forwarded_allow_ips = ""

# The portal logs its own requests. A URL can hold an invitation code or a mailed token, so even
# where a platform turns the access log on (GUNICORN_CMD_ARGS beats this file) its format has none.
accesslog = None
access_log_format = "%(m)s %(s)s %(b)s bytes %(L)s s"


# What is loaded now, stays: to look for garbage among it takes a tenth of the start. `when_ready`
# sees to it that this goes on later.
gc.disable()


def on_starting(server: Any) -> None:
    """Migrate first, where that is asked for: `make run` does, a release has a step for it."""
    if os.environ.get("MIGRATE_FIRST"):
        from portal.ops import startup
        from wsgi import app

        startup.migrate(app)


def when_ready(server: Any) -> None:
    """Say once, before the workers are there, what whoever starts the portal must know."""
    from portal.ops import startup
    from wsgi import app

    startup.look_around(app)
    gc.freeze()  # the workers share it, and none looks through it again
    gc.enable()


def post_fork(server: Any, worker: Any) -> None:
    """Connections opened before the fork are the master's: drop them unclosed, open our own."""
    from portal.extensions import db
    from wsgi import app

    with app.app_context():
        for engine in db.engines.values():
            engine.dispose(close=False)


def child_exit(server: Any, worker: Any) -> None:
    """What a worker counted stays; what it measured of itself goes with it."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
