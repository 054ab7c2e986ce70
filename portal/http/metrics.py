"""Prometheus metrics, correct across workers (gunicorn.conf.py sets the multiprocess folder)."""

import os
import time
from collections.abc import Iterator
from functools import cache

from flask import Flask, Response, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from portal.domain.audit import audit
from portal.domain.mail import outbox
from portal.http.redaction import known_method

REQUESTS = Counter("portal_requests", "Requests answered.", ["route", "method", "status"])
SECONDS = Histogram("portal_request_seconds", "Time to answer, in seconds.", ["route"])
EVENTS = Counter(
    "portal_events", "Committed audit events: redemptions, refusals, locks …", ["action"]
)


class Outbox(Collector):
    """A gauge of mails in each state, queried on each scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge, labelled by state."""
        gauge = GaugeMetricFamily("portal_outbox_mails", "Mails in the outbox.", labels=["state"])
        for state, count in outbox.counts().items():
            gauge.add_metric([state], count)
        yield gauge


def exposition() -> bytes:
    """All metrics of all workers, in Prometheus' text format."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(REGISTRY)
    registry.register(Outbox())
    return generate_latest(registry)


def init_app(app: Flask) -> None:
    """Count every request after its response, and every audit event after its commit."""
    app.before_request(_begin)
    app.after_request(_count)
    audit.listen(_count_event)


def _begin() -> None:
    request.environ["portal.began"] = time.perf_counter()


def _count(response: Response) -> Response:
    asked = request
    began = asked.environ.get("portal.began")
    if began is not None:
        # The rule, not the path: paths may hold codes, and their number is unbounded.
        route = asked.url_rule.rule if asked.url_rule else "unmatched"
        _answered(route, known_method(), response.status_code).inc()
        _seconds(route).observe(time.perf_counter() - began)
    return response


# A metric has few children, and they live as long as it does.
@cache
def _answered(route: str, method: str, status: int) -> Counter:
    return REQUESTS.labels(route, method, status)


@cache
def _seconds(route: str) -> Histogram:
    return SECONDS.labels(route)


@cache
def _events(action: str) -> Counter:
    return EVENTS.labels(action)


def _count_event(action: str) -> None:
    _events(action).inc()
