"""What is told in Slack, or read from an upload, is owed to those webhooks that may see it."""

import hashlib
import json

import fastjsonschema

from analysis.verdict.report import Report
from storage.store import Store


def owe(store: Store, number: int) -> int:
    """Whoever is told of verdicts is to be told of this report as it stands now; to how many that is owed anew."""
    if not store.webhooks.has_any():
        return 0
    try:
        report = store.reports.report(number)
    except fastjsonschema.JsonSchemaException:  # a document of another version of the contract
        return 0
    return 0 if report is None else store.webhooks.owe(number, mark(report))


def mark(report: Report) -> str:
    """What tells one verdict on a dump from another one."""
    document = report.to_json()
    said = {"verdict": document["verdict"], "signature": document["bucket"]["signature"]}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
