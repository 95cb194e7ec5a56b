"""The schema, as numbered steps that are only ever appended. Never edit one that was released.

A step is SQL as ``storage.dialect`` knows it, or a ``Step`` where the two databases need different words.
"""

from dataclasses import dataclass

from storage.database import Database, Dialect
from storage.errors import DatabaseTooNew


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the words of each database."""

    sqlite: str
    postgresql: str

    def of(self, dialect: Dialect) -> str:
        """What to run there."""
        return self.sqlite if dialect == "sqlite" else self.postgresql


JOBS = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    payload TEXT NOT NULL,
    secret TEXT,
    memory TEXT NOT NULL DEFAULT '{}',
    attempts INTEGER NOT NULL DEFAULT 0,
    takes INTEGER NOT NULL DEFAULT 0,
    attempts_allowed INTEGER NOT NULL,
    worker TEXT,
    lease_until TEXT,
    due_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    finished_at TEXT,
    result TEXT,
    error_kind TEXT,
    error TEXT
);
CREATE UNIQUE INDEX jobs_one_active_per_key ON jobs (key) WHERE state IN ('waiting', 'running');
CREATE INDEX jobs_by_state ON jobs (state, due_at, id);
"""

_REPORTS = """
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL,
    sha256 TEXT,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    live INTEGER NOT NULL,
    code TEXT,
    name TEXT,
    module TEXT,
    function TEXT,
    confidence TEXT NOT NULL,
    signature TEXT NOT NULL,
    failure_bucket TEXT NOT NULL,
    failure_hash TEXT NOT NULL,
    host TEXT,
    build TEXT,
    lock TEXT,
    device TEXT,
    service TEXT,
    summary TEXT NOT NULL,
    crash_time TEXT,
    reported_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    analyzed_at TEXT NOT NULL,
    frames TEXT NOT NULL
);
CREATE TABLE documents (
    report_id INTEGER PRIMARY KEY REFERENCES reports (id) ON DELETE CASCADE,
    document TEXT NOT NULL
);
CREATE INDEX reports_by_identity ON reports (identity);
CREATE INDEX reports_by_sha256 ON reports (sha256);
CREATE INDEX reports_by_code ON reports (code);
CREATE INDEX reports_by_module ON reports (module);
CREATE INDEX reports_by_host ON reports (host);
CREATE INDEX reports_by_failure_bucket ON reports (failure_bucket);
CREATE INDEX reports_by_lock ON reports (lock);
CREATE INDEX reports_by_device ON reports (device);
CREATE INDEX reports_by_seen_at ON reports (seen_at);
CREATE TABLE signatures (
    signature TEXT NOT NULL,
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    PRIMARY KEY (signature, report_id)
) WITHOUT ROWID;
CREATE INDEX signatures_by_report ON signatures (report_id);
"""

_WORDS_SQLITE = """
CREATE VIRTUAL TABLE words USING fts5 (body, tokenize = "unicode61 remove_diacritics 2 tokenchars '_'");
"""

# The body is cut into words by us, so its lexemes are what stands between spaces: a parser of English text would cut
# symbols elsewhere. A lexeme may have 2,046 bytes, a position be 16,383.
_WORDS_POSTGRESQL = """
CREATE FUNCTION pileup_lexemes (body text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(
        chr(39) || translate(left(word, 500), chr(39) || chr(92), '') || chr(39) || ':' || least(place, 16383), ' '
    ), '')::tsvector
    FROM unnest(string_to_array(body, ' ')) WITH ORDINALITY AS words (word, place) WHERE word <> ''
$$;
CREATE TABLE words (
    rowid bigint PRIMARY KEY REFERENCES reports (id) ON DELETE CASCADE,
    body text NOT NULL,
    lexemes tsvector NOT NULL GENERATED ALWAYS AS (pileup_lexemes(body)) STORED
);
CREATE INDEX words_by_lexeme ON words USING gin (lexemes);
"""

REPORTS = Step(_REPORTS + _WORDS_SQLITE, _REPORTS + _WORDS_POSTGRESQL)

SLACK = """
CREATE TABLE events (
    event_id TEXT PRIMARY KEY,
    seen_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE requests (
    team TEXT NOT NULL,
    channel TEXT NOT NULL,
    ts TEXT NOT NULL,
    link TEXT NOT NULL,
    job_id INTEGER,
    seen_at TEXT NOT NULL,
    PRIMARY KEY (team, channel, ts, link)
) WITHOUT ROWID;
CREATE TABLE threads (
    id INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    channel TEXT NOT NULL,
    ts TEXT NOT NULL,
    summary_ts TEXT NOT NULL,
    permalink TEXT,
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    UNIQUE (team, channel, summary_ts)
);
CREATE INDEX threads_by_report ON threads (report_id, created_at);
CREATE TABLE posts (
    key TEXT NOT NULL,
    slot TEXT NOT NULL,
    channel TEXT,
    ts TEXT,
    claimed_at TEXT NOT NULL,
    PRIMARY KEY (key, slot)
) WITHOUT ROWID;
"""

NAMING = """
ALTER TABLE reports ADD COLUMN named_by TEXT;
CREATE INDEX reports_by_naming ON reports (named_by);
"""

DRIVERS = """
CREATE TABLE drivers (
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    name TEXT NOT NULL COLLATE NOCASE,
    version TEXT NOT NULL,
    blamed INTEGER NOT NULL,
    PRIMARY KEY (report_id, name)
) WITHOUT ROWID;
CREATE INDEX drivers_by_name ON drivers (name, version);
"""

ACTS = """
CREATE TABLE acts (
    id INTEGER PRIMARY KEY,
    signature TEXT NOT NULL,
    deed TEXT NOT NULL,
    by TEXT NOT NULL,
    at TEXT NOT NULL,
    detail TEXT NOT NULL,
    report_id INTEGER REFERENCES reports (id) ON DELETE SET NULL
);
CREATE INDEX acts_by_signature ON acts (signature);
CREATE INDEX acts_by_report ON acts (report_id);
"""

TELLING = """
ALTER TABLE threads ADD COLUMN form TEXT NOT NULL DEFAULT 'full';
ALTER TABLE threads ADD COLUMN line TEXT NOT NULL DEFAULT '';
ALTER TABLE threads ADD COLUMN job TEXT;
ALTER TABLE threads ADD COLUMN slot TEXT NOT NULL DEFAULT 'summary';
ALTER TABLE threads ADD COLUMN name TEXT;
"""

# What pages count and list comes from these alone, without a look at the rows.
PAGES = """
CREATE INDEX reports_by_day ON reports (live, seen_at, reported_at, signature, module, code, host);
CREATE INDEX reports_by_signature ON reports (signature, live, seen_at, host);
CREATE INDEX reports_of_module ON reports (module COLLATE NOCASE, live, seen_at, reported_at, host, code);
CREATE INDEX reports_of_code ON reports (code COLLATE NOCASE, live, seen_at, reported_at, host, module);
CREATE INDEX reports_of_host ON reports (host COLLATE NOCASE, live, seen_at, reported_at, module, code);
CREATE INDEX reports_by_service ON reports (service);
CREATE INDEX threads_by_place ON threads (report_id, channel);
"""

# Who comes over the web: tokens of machines, sessions of people, what they upload, and who is told of verdicts.
WEB = """
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    channels TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    used_at TEXT
);
CREATE UNIQUE INDEX tokens_one_valid_per_name ON tokens (name) WHERE revoked_at IS NULL;
CREATE TABLE sessions (
    digest TEXT PRIMARY KEY,
    team TEXT NOT NULL,
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    at TEXT NOT NULL,
    job_id INTEGER
);
CREATE INDEX uploads_by_owner ON uploads (owner, at);
CREATE TABLE sightings (
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    team TEXT NOT NULL,
    channel TEXT NOT NULL,
    PRIMARY KEY (report_id, channel)
);
CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    channels TEXT,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    ended_by TEXT
);
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    mark TEXT NOT NULL,
    at TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    ended_at TEXT
);
CREATE INDEX deliveries_of_report ON deliveries (report_id, webhook_id);
CREATE INDEX deliveries_by_state ON deliveries (state, at);
"""

GROUPING = """
ALTER TABLE reports ADD COLUMN own_name TEXT;
ALTER TABLE signatures ADD COLUMN merged INTEGER NOT NULL DEFAULT 0;
CREATE TABLE groupings (
    id INTEGER PRIMARY KEY,
    deed TEXT NOT NULL,
    name TEXT NOT NULL,
    into_name TEXT NOT NULL,
    report_id INTEGER REFERENCES reports (id) ON DELETE SET NULL,
    by TEXT NOT NULL,
    at TEXT NOT NULL,
    undone_by TEXT,
    undone_at TEXT
);
CREATE INDEX groupings_by_report ON groupings (report_id);
"""

# Jobs for many workers: what goes first, through which gates, in which form it was written, since when a worker's queue
# has it.
FLEET = """
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN form INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN host TEXT;
ALTER TABLE jobs ADD COLUMN channel TEXT;
ALTER TABLE jobs ADD COLUMN delivered_at TEXT;
CREATE INDEX jobs_by_urgency ON jobs (state, priority, due_at, id);
CREATE TABLE gates (
    name TEXT PRIMARY KEY
);
CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    form INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL
);
CREATE TABLE lanes (
    channel TEXT PRIMARY KEY,
    free_at TEXT NOT NULL
);
CREATE TABLE holds (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until TEXT NOT NULL
);
"""

CHOICES = """
CREATE TABLE choices (
    id INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    about TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    by TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE INDEX choices_by_name ON choices (team, name, about, id);
CREATE TABLE held (
    id INTEGER PRIMARY KEY,
    team TEXT NOT NULL,
    channel TEXT NOT NULL,
    mention TEXT NOT NULL,
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    rule TEXT NOT NULL,
    words TEXT NOT NULL,
    link TEXT,
    until TEXT NOT NULL,
    at TEXT NOT NULL,
    batch TEXT,
    UNIQUE (team, channel, mention, report_id)
);
CREATE INDEX held_by_batch ON held (batch, until);
CREATE INDEX held_by_report ON held (report_id);
CREATE TABLE digests (
    team TEXT NOT NULL,
    channel TEXT NOT NULL,
    every TEXT NOT NULL,
    period TEXT NOT NULL,
    due_at TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('sent', 'skipped')),
    PRIMARY KEY (team, channel, every, period)
);
"""

# What Slack says of channels, for who may see what; where somebody said something of a failure, as far as that can be
# told of older acts; what the operator analysed; and under which name a dump was posted in each place. Of what was told
# before, only the first place is known to have posted it so.
CHANNELS = """
CREATE TABLE channels (
    team TEXT NOT NULL,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('public', 'private', 'im', 'mpim')),
    state TEXT NOT NULL DEFAULT 'open',
    shared INTEGER NOT NULL DEFAULT 0,
    person TEXT,
    checked_at TEXT NOT NULL,
    PRIMARY KEY (team, channel)
);
ALTER TABLE acts ADD COLUMN team TEXT NOT NULL DEFAULT '';
ALTER TABLE acts ADD COLUMN channel TEXT NOT NULL DEFAULT '';
UPDATE acts SET channel = '?' WHERE report_id IN (SELECT report_id FROM threads);
UPDATE acts SET
    team = (SELECT min(threads.team) FROM threads WHERE threads.report_id = acts.report_id),
    channel = (SELECT min(threads.channel) FROM threads WHERE threads.report_id = acts.report_id)
WHERE report_id IN (SELECT report_id FROM threads GROUP BY report_id HAVING count(DISTINCT channel) = 1);
ALTER TABLE reports ADD COLUMN by_operator INTEGER NOT NULL DEFAULT 0;
ALTER TABLE threads ADD COLUMN source TEXT NOT NULL DEFAULT '';
UPDATE threads SET source = (SELECT reports.source FROM reports WHERE reports.id = threads.report_id)
WHERE id IN (SELECT min(id) FROM threads GROUP BY report_id);
"""

# Workspaces that installed the bot themselves, whose report is whose, and who did what.
INSTALLING = """
CREATE TABLE installations (
    team TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    app TEXT NOT NULL,
    bot_user TEXT NOT NULL,
    bot TEXT NOT NULL,
    scopes TEXT NOT NULL,
    token TEXT NOT NULL,
    refresh TEXT,
    expires_at TEXT,
    installed_by TEXT NOT NULL,
    installed_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    renewing_until TEXT
);
CREATE TABLE install_states (
    digest TEXT PRIMARY KEY,
    expires_at TEXT NOT NULL
);
ALTER TABLE reports ADD COLUMN team TEXT NOT NULL DEFAULT '';
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    team TEXT NOT NULL,
    channel TEXT NOT NULL,
    person TEXT NOT NULL,
    deed TEXT NOT NULL,
    detail TEXT NOT NULL,
    allowed INTEGER NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_person ON audit (person, at);
"""

INGESTS = """
CREATE TABLE ingests (
    place TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    failures TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE TABLE ingested (
    place TEXT NOT NULL,
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    PRIMARY KEY (place, report_id)
);
CREATE INDEX ingested_by_report ON ingested (report_id);
"""

UPLOADS = """
ALTER TABLE sightings ADD COLUMN source TEXT NOT NULL DEFAULT '';
CREATE INDEX sightings_by_place ON sightings (channel, report_id);
CREATE INDEX uploads_by_job ON uploads (job_id);
"""

# Where one bot serves several workspaces, each has its own decisions.
TENANTS = """
ALTER TABLE groupings ADD COLUMN team TEXT NOT NULL DEFAULT '';
"""

# SQLite has what it needs in the indexes of pages; PostgreSQL joins two indexes for "happened or was reported then".
SERVER = Step(
    "",
    """
CREATE INDEX reports_by_reported_at ON reports (reported_at);
CREATE INDEX threads_by_channel ON threads (channel, report_id);
""",
)

# What became of it when places of a symbol path were last asked, machine by machine.
SOURCES = """
CREATE TABLE sources (
    machine TEXT NOT NULL,
    place TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('found', 'missing', 'failed')),
    detail TEXT NOT NULL,
    at TEXT NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (machine, place, outcome)
);
"""

# Whom the operator's rules name for a crash, and pages of builds and of teams. The reports of before are read again in
# the background, as if the rules that name failures had changed.
SUBJECTS = """
ALTER TABLE reports ADD COLUMN owner TEXT;
UPDATE reports SET named_by = NULL WHERE module IS NOT NULL;
CREATE INDEX reports_of_build ON reports (build COLLATE NOCASE, live, seen_at, reported_at, host, module, signature);
CREATE INDEX reports_of_owner ON reports (owner COLLATE NOCASE, live, seen_at, reported_at, host, module, signature);
CREATE INDEX reports_by_owner ON reports (owner);
"""

# What the pages of subjects count comes from an index alone.
COUNTED = """
DROP INDEX reports_of_build;
DROP INDEX reports_of_owner;
DROP INDEX reports_of_module;
CREATE INDEX reports_of_build ON reports
    (build COLLATE NOCASE, live, seen_at, reported_at, host, code, module, signature);
CREATE INDEX reports_of_owner ON reports
    (owner COLLATE NOCASE, live, seen_at, reported_at, host, code, module, signature, build);
CREATE INDEX reports_of_module ON reports
    (module COLLATE NOCASE, live, seen_at, reported_at, host, code, build, signature);
"""

# Who sees a crash is told by threads and by two of its columns: with these in the indexes, SQLite counts the crashes
# that somebody sees without a look at each row of the table. PostgreSQL looks at rows anyway.
SEEN = Step(
    """
DROP INDEX threads_by_place;
CREATE INDEX threads_by_place ON threads (report_id, channel, team);
DROP INDEX reports_by_day;
CREATE INDEX reports_by_day ON reports
    (live, seen_at, reported_at, signature, module, code, host, build, owner, by_operator, team);
DROP INDEX reports_by_signature;
CREATE INDEX reports_by_signature ON reports (signature, live, seen_at, host, by_operator, team);
DROP INDEX reports_of_module;
CREATE INDEX reports_of_module ON reports
    (module COLLATE NOCASE, live, seen_at, reported_at, host, code, build, signature, by_operator, team);
DROP INDEX reports_of_code;
CREATE INDEX reports_of_code ON reports
    (code COLLATE NOCASE, live, seen_at, reported_at, host, module, by_operator, team);
DROP INDEX reports_of_host;
CREATE INDEX reports_of_host ON reports
    (host COLLATE NOCASE, live, seen_at, reported_at, module, code, by_operator, team);
DROP INDEX reports_of_build;
CREATE INDEX reports_of_build ON reports
    (build COLLATE NOCASE, live, seen_at, reported_at, host, code, module, signature, by_operator, team);
DROP INDEX reports_of_owner;
CREATE INDEX reports_of_owner ON reports
    (owner COLLATE NOCASE, live, seen_at, reported_at, host, code, module, signature, build, by_operator, team);
DROP INDEX reports_by_host;
CREATE INDEX reports_by_host ON reports (host, by_operator, team);
DROP INDEX reports_by_module;
CREATE INDEX reports_by_module ON reports (module, by_operator, team);
DROP INDEX reports_by_lock;
CREATE INDEX reports_by_lock ON reports (lock, by_operator, team);
""",
    "",
)

# Messages of people that show a crash below a link to its page.
UNFURLS = """
CREATE TABLE unfurls (
    team TEXT NOT NULL,
    channel TEXT NOT NULL,
    ts TEXT NOT NULL,
    link TEXT NOT NULL,
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    PRIMARY KEY (team, channel, ts, link)
);
CREATE INDEX unfurls_by_report ON unfurls (report_id);
"""


MIGRATIONS: tuple[str | Step, ...] = (
    JOBS,
    REPORTS,
    SLACK,
    NAMING,
    DRIVERS,
    ACTS,
    TELLING,
    PAGES,
    WEB,
    GROUPING,
    FLEET,
    CHOICES,
    CHANNELS,
    INSTALLING,
    INGESTS,
    UPLOADS,
    SERVER,
    TENANTS,
    SOURCES,
    SUBJECTS,
    COUNTED,
    SEEN,
    UNFURLS,
)


def migrate(database: Database, steps: tuple[str | Step, ...] = MIGRATIONS) -> int:
    """Take the database through the steps it has not seen, all or none; the number of steps taken.

    Raises:
        DatabaseTooNew: the database has been through more steps than there are.
    """
    if database.version() == len(steps):
        return 0
    with database.write():  # a second process waits here and then finds nothing to do
        done = database.version()
        if done > len(steps):
            raise DatabaseTooNew(done, len(steps))
        for step in steps[done:]:
            database.script(step.of(database.dialect) if isinstance(step, Step) else step)
        if done < len(steps):
            database.set_version(len(steps))
        return len(steps) - done
