"""History: reports, jobs, seen events and threads. Knows the Report and nothing above it."""

from storage.duplicates import SameBucket, SameDump, Seen, Similar
from storage.errors import DatabaseTooNew, StorageError
from storage.events import Post, Request
from storage.jobs import Enqueued, Job, NewJob
from storage.reports import StoredReport
from storage.search import Query, Span
from storage.store import Store
from storage.threads import Thread

__all__ = [
    "DatabaseTooNew",
    "Enqueued",
    "Job",
    "NewJob",
    "Post",
    "Query",
    "Request",
    "SameBucket",
    "SameDump",
    "Seen",
    "Similar",
    "Span",
    "StorageError",
    "Store",
    "StoredReport",
    "Thread",
]
