"""What can go wrong with the database, in one tree that names no driver.

    StorageError
    ├── DatabaseUnreachable   it cannot be reached, or went away: nothing is lost, try again later
    ├── DatabaseBusy          somebody else held a lock, or the statement ran, for longer than allowed: try again later
    ├── DatabaseFull          no room for what is to be kept: nothing is lost, try again when there is
    ├── DatabaseConflict      the row breaks a rule of the schema
    ├── DatabaseTooNew        a later version of the program has changed the schema
    └── QueueMissing          what brings jobs to workers is not installed here

Anything else a driver says is a plain ``StorageError``: no database, damaged, no permission, wrong SQL.
"""


class StorageError(Exception):
    """The database did not do what was asked; its own words are the message."""


class DatabaseUnreachable(StorageError):
    """The database cannot be reached, or the connection broke. Of a transaction in progress nothing is kept, unless it
    broke while committing: then nobody knows, and whoever does it again must expect to find it done."""


class DatabaseBusy(StorageError):
    """A lock was not to be had, or a statement not to be finished, in the time allowed."""


class DatabaseFull(StorageError):
    """The disk of the database is full, or another of its resources used up."""


class DatabaseConflict(StorageError):
    """A row that breaks a rule of the schema was refused."""


class DatabaseTooNew(StorageError):
    """A later version of the program has written this database; ``found`` and ``known`` are schema numbers."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"the database has schema {found}, this version knows {known}: a newer Pileup wrote it")
        self.found = found
        self.known = known


class QueueMissing(StorageError):
    """The package is not installed that brings jobs on PostgreSQL to workers."""


AWAY = (DatabaseUnreachable, DatabaseBusy, DatabaseFull)  # what a database that works again may have said
