"""What is counted and timed, for Prometheus.

Several processes (service and workers) write to files in one folder, see :mod:`app.metrics_folder`; the
service's ``/metrics`` adds them up. Label values come from fixed sets, never from users.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.metrics_folder import FOLDER
from app.stores.documents import STATES, State

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)

REQUESTS = Counter("ka_http_requests", "Requests by route and status.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "ka_http_request_seconds", "Time to the answer's end.", ["route"], buckets=BUCKETS
)
INGEST_SECONDS = Histogram("ka_ingest_stage_seconds", "Stages of reading.", ["stage"], buckets=BUCKETS)
SEARCH_SECONDS = Histogram("ka_search_stage_seconds", "Stages of a search.", ["stage"], buckets=BUCKETS)
FIRST_TOKEN_SECONDS = Histogram("ka_first_token_seconds", "Question to first word.", buckets=BUCKETS)
ANSWERS = Counter("ka_answers", "Answers by kind.", ["kind"])
UNCITED = Counter("ka_answers_without_citation", "Generated answers without a valid citation.")
REFUSALS = Counter("ka_refusals", "Questions that the documents don't answer.")
DROPPED = Counter("ka_dropped_citations", "Citations that the stored text did not bear out.")
DEGRADED = Counter("ka_degraded_answers", "Answers that were less than they could be, by cause.", ["cause"])


class Momentary(Collector):
    """Gauges that are read from the database at the moment of the scrape."""

    def __init__(self, documents: Mapping[State, int], queue_seconds: float) -> None:
        self._documents = documents
        self._queue_seconds = queue_seconds

    def collect(self) -> list[Metric]:
        """The gauges as they were given."""
        states = GaugeMetricFamily("ka_documents", "Documents by state.", labels=["state"])
        for state in STATES:
            # 0 too: what was never told cannot be seen to grow
            states.add_metric([state], self._documents.get(state, 0))
        waiting = GaugeMetricFamily(
            "ka_queue_oldest_seconds",
            "Age of the oldest job that nobody has begun.",
            value=self._queue_seconds,
        )
        return [states, waiting]


def exposition(momentary: Momentary) -> bytes:
    """Everything in Prometheus' text format."""
    registry = CollectorRegistry()
    if FOLDER in os.environ:
        # a collector registers itself
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(momentary)
    return generate_latest(registry)
