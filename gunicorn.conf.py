"""gunicorn's settings. It finds this file by its name: `gunicorn wsgi:app` is enough."""

import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"

# Threads release the interpreter lock while they wait for the database and for argon2; a second
# process does the rest. Slow or idle clients hold no thread (portal/ops).
worker_class = "portal.ops.gunicorn_worker.BufferingWorker"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4

# A thread that returns from the database, perhaps holding a lock there, waits for the interpreter
# until another thread yields it: 5 ms by default, as long as ten queries.
sys.setswitchinterval(0.0005)

# Load the app in the master: a wrong setting stops it once, instead of each worker repeatedly.
preload_app = True

# Each worker has its own listening socket and the kernel spreads connections; with a shared socket
# one worker can win all keep-alive connections. Only Linux spreads them.
reuse_port = sys.platform == "linux"

# Disable the control socket: nothing may be controlled through a file in a home directory.
control_socket_disable = True

# Platforms kill 30 seconds after the stop signal (Heroku); exit before that.
graceful_timeout = 20
timeout = 30
keepalive = 5

# The heartbeat is a file; on a slow disk it blocks the worker it watches.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None

# The workers' Prometheus metrics meet in a folder, which must be set before they are created.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="portal-metrics-"))

# Long-lived processes grow; the jitter keeps the workers from restarting together.
max_requests = 20_000
max_requests_jitter = 2_000

# The longest legitimate request line is a mailed link.
limit_request_line = 4096
limit_request_fields = 60
limit_request_field_size = 8190

# TRUSTED_PROXIES in the portal decides which proxies to trust about addresses and https. gunicorn
# trusts none; set explicitly, because platforms set FORWARDED_ALLOW_IPS=* in the environment.
forwarded_allow_ips = ""

# The portal logs its own requests. A URL can hold an invitation code or a mailed token, so even if
# a platform turns the access log on (GUNICORN_CMD_ARGS overrides this file), its format has none.
accesslog = None
access_log_format = "%(m)s %(s)s %(b)s bytes %(L)s s"


# What is loaded now stays: collecting garbage meanwhile takes a tenth of the startup. `when_ready`
# turns collection on again.
gc.disable()


def on_starting(server: Any) -> None:
    """Migrate first if `MIGRATE_FIRST` is set: `make run` does so, a release has its own step."""
    if os.environ.get("MIGRATE_FIRST"):
        from portal.ops import startup
        from wsgi import app

        startup.migrate(app)


def when_ready(server: Any) -> None:
    """Report startup problems once, before the workers start."""
    from portal.ops import startup
    from wsgi import app

    startup.look_around(app)
    gc.freeze()  # workers share these objects and never scan them
    gc.enable()


def post_fork(server: Any, worker: Any) -> None:
    """Drop the master's connections without closing them, so that this worker opens its own."""
    from portal.extensions import db
    from wsgi import app

    with app.app_context():
        for engine in db.engines.values():
            engine.dispose(close=False)


def child_exit(server: Any, worker: Any) -> None:
    """Drop a dead worker's gauges; its counters stay."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
