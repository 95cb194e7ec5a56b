"""How the installation does, as plain values: what the page draws and what ``/health.json`` says, word for word.

No name of a channel, of a person or of a crash is in it. What went wrong with a job is told to whoever may see the
channel that it was for; the others read that it failed, and of which kind the failure is.
"""

import platform
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from analysis.errors import BadRules
from bot.doctor import LEAST_DISK
from bot.fleet.presence import ALIVE, gaps
from bot.web.health.premises import Premises
from bot.web.health.symbols import symbols
from bot.wording import count as counted
from bot.wording import duration, size
from storage import Store
from storage.clock import stamp
from storage.jobs import FORM, Job
from storage.webhooks import Standing
from storage.workers import Worker

Json = dict[str, Any]
SILENT = timedelta(days=1)  # how long a worker that fell silent is listed
LONG_WAIT = 300.0  # seconds after which a job that nobody takes is worth a look
SHOWN = 20
LIBRARIES = ("slack-bolt", "slack-sdk", "starlette", "httpx", "procrastinate", "psycopg")
Sees = Callable[[Job], bool]


@dataclass(frozen=True, slots=True)
class Looking:
    """Looks at an installation: its history, and what the settings say of it."""

    store: Store
    premises: Premises

    def values(self, now: datetime, sees: Sees) -> Json:
        """How everything stands at this moment; ``sees`` says whose failures are told."""
        found = {
            "at": stamp(now),
            "versions": _versions(self.premises),
            "database": self._database(),
            "disks": list(_disks(self.premises)),
            "symbols": symbols(self.store, self.premises, now),
            "workers": self._workers(now),
            "queue": self._queue(now),
            "failures": [_failure(job, sees(job)) for job in self.store.backlog.failed(SHOWN)],
            "webhooks": [_webhook(one) for one in self.store.webhooks.standings()[:SHOWN]],
        }
        return {"attention": list(self._attention(found)), **found}

    def _database(self) -> Json:
        facts = self.store.facts()
        return {
            "place": self.premises.database,
            "program": facts.program,
            "bytes": facts.size,
            "schema": facts.schema,
            "reports": self.store.reports.count(),
        }

    def _workers(self, now: datetime) -> list[Json]:
        busy = [_process(job.worker or "") for job in self.store.backlog.running()]
        return [_worker(one, busy.count(_process(one.name)), now) for one in self.store.workers.alive(SILENT)]

    def _queue(self, now: datetime) -> Json:
        lines = self.store.backlog.lines()
        return {
            "jobs": dict(self.store.jobs.counts()),
            "kinds": [
                {
                    "kind": line.kind,
                    "waiting": line.waiting,
                    "running": line.running,
                    "waiting_seconds": _age(line.due, now),
                    "running_seconds": _age(line.since, now),
                }
                for line in lines
            ],
            "running": [
                {
                    "id": job.id,
                    "kind": job.kind,
                    "worker": ":".join((job.worker or "").split(":")[:2]),
                    "attempt": job.attempts,
                    "seconds": _age(job.created_at, now),
                    "lease_seconds": None if job.lease_until is None else (job.lease_until - now).total_seconds(),
                }
                for job in self.store.backlog.running(SHOWN)
            ],
        }

    def _attention(self, found: Json) -> Iterable[str]:
        if (newer := self.store.outgrown()) is not None:
            yield f"{newer}"
        yield from gaps(self.store)
        yield from _of_workers(found)
        for job in found["queue"]["running"]:
            if job["lease_seconds"] is not None and job["lease_seconds"] < -LONG_WAIT:
                yield f"Job {job['id']} runs without a worker since {duration(-job['lease_seconds'])}."
        for disk in found["disks"]:
            if disk["free"] < LEAST_DISK:
                yield f"{disk['path']} has only {size(disk['free'])} left: large dumps will not fit."
        for hook in found["webhooks"]:
            if hook["failed"]:
                yield f"Webhook {hook['id']} ({hook['host']}) missed {counted(hook['failed'], 'delivery')} this week."
        yield from found["symbols"]["gaps"]
        for place in found["symbols"]["sources"]:
            if place["outcome"] == "failed":
                yield f"Symbols: {place['place']} failed when {place['machine']} asked it last ({place['detail']})."


def _of_workers(found: Json) -> Iterable[str]:
    alive = [one for one in found["workers"] if one["is_alive"]]
    for line in found["queue"]["kinds"]:
        if line["waiting"] and (line["waiting_seconds"] or 0) > LONG_WAIT:
            nobody = "" if alive else "; no worker is there"
            yield f"Jobs of kind {line['kind']} wait since {duration(line['waiting_seconds'])}{nobody}."
    for one in found["workers"]:
        if not one["is_alive"]:
            yield f"Worker {one['name']} gave no sign of life for {duration(one['silent_seconds'])}."
    others = sorted({one["version"] for one in alive} - {found["versions"]["pileup"]})
    if others:
        yield f"Workers of another version are there: {', '.join(others)}; this is {found['versions']['pileup']}."


def _versions(premises: Premises) -> Json:
    try:
        rules = premises.rules()
    except BadRules as error:
        rules = f"cannot be used: {error}"
    found = {"pileup": version("pileup"), "rules": rules, "jobs": FORM, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _disks(premises: Premises) -> Iterable[Json]:
    # One line for each file system that we write to.
    told = set()
    for path in (premises.home, *premises.caches):
        place = next((one for one in (path, *path.parents) if one.exists()), Path("/"))
        device = place.stat().st_dev
        if device not in told:
            told.add(device)
            usage = shutil.disk_usage(place)
            yield {"path": str(path), "free": usage.free, "total": usage.total}


def _worker(worker: Worker, running: int, now: datetime) -> Json:
    silent = (now - worker.seen_at).total_seconds()
    return {
        "name": ":".join(worker.name.split(":")[:2]),
        "version": worker.version,
        "form": worker.form,
        "slots": worker.slots,
        "running": running,
        "up_seconds": (now - worker.started_at).total_seconds(),
        "silent_seconds": silent,
        "is_alive": silent <= ALIVE.total_seconds(),
    }


def _process(name: str) -> tuple[str, ...]:
    # Host, process and place of a worker's name: its number tells apart the tasks of one process.
    host, process, _, *place = (*name.split(":"), "", "")
    return host, process, *place[:1]


def _failure(job: Job, is_seen: bool) -> Json:
    at = job.finished_at or job.created_at
    return {
        "job": job.id,
        "kind": job.kind,
        "at": stamp(at),
        "error": job.error_kind,
        "detail": (job.error or "")[:500] if is_seen else None,
    }


def _webhook(standing: Standing) -> Json:
    # The host alone: an address may hold a secret.
    return {
        "id": standing.webhook.id,
        "host": urlsplit(standing.webhook.url).hostname or "",
        "waiting": standing.waiting,
        "failed": standing.failed,
        "error": standing.error,
        "delivered_at": None if standing.delivered_at is None else stamp(standing.delivered_at),
    }


def _age(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max((now - since).total_seconds(), 0.0)
