"""The portal, whose worker waits seconds where it would wait minutes."""

from datetime import timedelta

from portal.domain.mail import outbox
from portal.mail import delivery
from portal.ops import worker

outbox.LEASE = timedelta(seconds=10)
outbox.PAUSES = [timedelta(seconds=1)] * len(outbox.PAUSES)
outbox.SERVER_AWAY = timedelta(seconds=1)
delivery.LEASE_LEFT = timedelta(seconds=5)
delivery.MOST_AT_ONCE = 20
worker.PAUSE = 0.2

from wsgi import app  # noqa: E402, F401 - after the constants it reads
