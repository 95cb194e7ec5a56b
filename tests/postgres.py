"""A PostgreSQL server for tests: a throw-away cluster on a port of its own, or the one that
``PILEUP_TEST_DATABASE_URL`` names (whose user may create databases).

PostgreSQL refuses to run as root, so root drops to ``postgres`` or ``nobody``. Nothing is kept: fsync is off unless
asked for, and the directory goes when the cluster does.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

SUPERUSER = "pileup"
START_SECONDS = 60.0
STOP_SECONDS = 60.0
# Nothing has to outlive the machine; what was committed outlives the server all the same.
CARELESS = {"fsync": "off", "full_page_writes": "off"}
SETTINGS = {"max_connections": "120", "shared_buffers": "64MB", "log_min_messages": "warning"}
EMPTYING = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN
        SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('pileup_schema', 'pileup_queue')
    LOOP
        EXECUTE format('DELETE FROM public.%I', name);
    END LOOP;
    PERFORM setval(format('public.%I', sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = 'public';
END $$
"""
UNPRIVILEGED = ("postgres", "nobody")


class Server:
    """A running server, known by a URL of its maintenance database."""

    def __init__(self, url: str) -> None:
        self.maintenance_url = url

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return urlunsplit(urlsplit(self.maintenance_url)._replace(path=f"/{quote(database)}"))

    def create(self, template: str | None = None) -> str:
        """The URL of a new database under a name of its own: empty, or a copy of another."""
        name = f"pileup_{os.getpid()}_{secrets.token_hex(4)}"
        copied = sql.SQL("") if template is None else sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + copied)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name_of(url))))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.maintenance_url, autocommit=True) as connection:
            connection.execute(statement)


class Cluster(Server):
    """A throw-away cluster that is started here, and can be stopped, killed and started again with its data.

    ``directory`` is where its files go: a new one must be possible there for the unprivileged user. ``prefix`` is put
    before the server's command, as ``ip netns exec NAME``; ``host`` is where it listens and is reached.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        directory: Path | None = None,
        settings: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        careless: bool = True,
        reached_from: str = "127.0.0.1/32",
    ) -> None:
        self.port = port or free_port()
        self.host = host
        self._password = secrets.token_urlsafe(12)
        super().__init__(f"postgresql://{SUPERUSER}:{self._password}@{host}:{self.port}/postgres")
        self._prefix = tuple(prefix)
        self._binaries = binaries()
        self._home = Path(tempfile.mkdtemp(prefix="pileup-postgres-", dir=directory))
        self.data = self._home / "data"
        self._settings = {**SETTINGS, **(CARELESS if careless else {}), **(settings or {})}
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self._initialize(reached_from)
        except BaseException:
            shutil.rmtree(self._home, ignore_errors=True)
            raise

    @property
    def log(self) -> Path:
        """What the server said."""
        return self._home / "log"

    @property
    def pid(self) -> int | None:
        """The postmaster's process, while it runs."""
        return None if self._server is None or self._server.poll() is not None else self._server.pid

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: it ended, or did not answer in START_SECONDS; with the end of its log.
        """
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [*self._prefix, *_as_unprivileged(), self._binaries / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.stop("immediate")
                raise RuntimeError(f"PostgreSQL did not start: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast`` ends its sessions in order, ``immediate`` leaves a recovery to the next start."""
        self._end(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def kill(self) -> None:
        """End the server as a power cut would end it, and every process of it."""
        backends = [] if self.pid is None else children_of(self.pid)
        self._end(signal.SIGKILL)
        for process in backends:
            _signal(process, signal.SIGKILL)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def restart(self, mode: str = "fast") -> None:
        """Stop and start."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server and delete its files."""
        self.stop("immediate")
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _initialize(self, reached_from: str) -> None:
        words = self._home / "password"
        words.write_text(f"{self._password}\n")
        if os.geteuid() == 0:
            owner = pwd.getpwnam(unprivileged_user())
            for path in (self._home, words):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            [
                *_as_unprivileged(), self._binaries / "initdb", "-D", self.data, "--no-sync", "-U", SUPERUSER,
                "--auth=scram-sha-256", f"--pwfile={words}", "--encoding=UTF8", "--locale=C.UTF-8",
            ],
            check=True, capture_output=True, timeout=120, cwd="/",
        )  # fmt: skip
        words.unlink()
        settings = {
            **self._settings,
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        with (self.data / "pg_hba.conf").open("a") as hba:
            hba.write(f"host all all {reached_from} scram-sha-256\n")

    def _is_ready(self) -> bool:
        # Asked where the server is: this process may stand outside its network namespace.
        status = subprocess.run(
            [*self._prefix, self._binaries / "pg_isready", "-q", "-h", self.host, "-p", str(self.port), "-t", "5"],
            check=False, timeout=30,
        ).returncode  # fmt: skip
        return status == 0

    def _end(self, number: signal.Signals) -> None:
        if self._server is None or self._server.poll() is not None:
            return
        _signal(self._server.pid, number)
        try:
            self._server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(self._server.pid, signal.SIGKILL)
            self._server.wait(STOP_SECONDS)


@contextmanager
def server() -> Iterator[Server]:
    """The server for tests, started if need be; skips where there is none, and says why."""
    if url := os.environ.get("PILEUP_TEST_DATABASE_URL"):
        yield Server(url)
        return
    if (reason := unavailable()) is not None:
        pytest.skip(reason)
    with Cluster() as cluster:
        yield cluster


def empty(url: str) -> None:
    """Delete every row of a database but the number of its schema, and let its counters begin anew: what a new database
    would be, for a hundredth of its price. Whoever is still connected is sent away."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
        connection.execute(EMPTYING)


def unavailable() -> str | None:
    """Why no cluster can be started here; None when one can."""
    try:
        binaries()
        unprivileged_user()
    except LookupError as error:
        return str(error)
    return None


def binaries() -> Path:
    """The directory of the newest PostgreSQL server here.

    Raises:
        LookupError: there is none.
    """
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found.sort(key=lambda path: float(path.parent.name) if path.parent.name.replace(".", "").isdigit() else 0)
    if not found and (on_path := shutil.which("initdb")):
        found = [Path(on_path).resolve().parent]
    if not found:
        raise LookupError("no PostgreSQL server here (initdb was looked for in /usr/lib/postgresql and on PATH)")
    return found[-1]


def unprivileged_user() -> str:
    """Who runs the server: ourselves, or somebody else where we are root.

    Raises:
        LookupError: we are root, and cannot become anybody else.
    """
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in UNPRIVILEGED if name in known), None)
    if user is None or shutil.which("setpriv") is None:
        raise LookupError("PostgreSQL does not run as root, and there is no other user to run it as")
    return user


def name_of(url: str) -> str:
    """The database that a URL names."""
    return urlsplit(url).path.lstrip("/")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    owner = pwd.getpwnam(unprivileged_user())
    return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--"]


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


def children_of(parent: int) -> list[int]:
    """The processes that one has started and that still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == parent:
            found.append(int(entry.parent.name))
    return found
