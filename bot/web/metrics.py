"""What Prometheus may read: jobs by state and the size of history. Needs the extra ``metrics``."""

from storage import Store


def metrics_text(store: Store) -> str | None:
    """The metrics in Prometheus' text format; None without the extra."""
    try:
        from prometheus_client import CollectorRegistry, Gauge, generate_latest
    except ImportError:
        return None
    registry = CollectorRegistry()
    jobs = Gauge("pileup_jobs", "Jobs by state", ["state"], registry=registry)
    for state, count in store.jobs.counts().items():
        jobs.labels(state).set(count)
    deliveries = Gauge("pileup_webhook_deliveries", "Deliveries to webhooks by state", ["state"], registry=registry)
    for told, count in store.webhooks.counts().items():
        deliveries.labels(told).set(count)
    Gauge("pileup_reports", "Reports in history", registry=registry).set(store.reports.count())
    return generate_latest(registry).decode()
