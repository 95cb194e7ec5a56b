"""What Prometheus may read: jobs by state, how long they wait, who takes them, the size of history. Needs the extra
``metrics``.
"""

from datetime import datetime

from bot.fleet.presence import ALIVE
from storage import Store


def metrics_text(store: Store, now: datetime) -> str | None:
    """The metrics in Prometheus' text format; None without the extra."""
    try:
        from prometheus_client import CollectorRegistry, Gauge, generate_latest
    except ImportError:
        return None
    registry = CollectorRegistry()
    jobs = Gauge("pileup_jobs", "Jobs by state", ["state"], registry=registry)
    for state, count in store.jobs.counts().items():
        jobs.labels(state).set(count)
    waits = Gauge(
        "pileup_oldest_job_seconds",
        "How long the first job of a kind could have been taken",
        ["kind"],
        registry=registry,
    )
    for line in store.backlog.lines():
        if line.due is not None:
            waits.labels(line.kind).set(max((now - line.due).total_seconds(), 0.0))
    Gauge("pileup_workers", "Processes that take jobs", registry=registry).set(len(store.workers.alive(ALIVE)))
    deliveries = Gauge("pileup_webhook_deliveries", "Deliveries to webhooks by state", ["state"], registry=registry)
    for told, count in store.webhooks.counts().items():
        deliveries.labels(told).set(count)
    Gauge("pileup_reports", "Reports in history", registry=registry).set(store.reports.count())
    return generate_latest(registry).decode()
