"""Every setting, described once: name, meaning, default. Validated when they are read, never again.

Environment variables with the prefix ``PILEUP_``, or lines of a ``.env`` file. Importing this costs a third of a
second, so the command line does it while something else is running.
"""

import os
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.archives.limits import ArchiveLimits
from bot.child import ChildLimits
from bot.fetch.limits import FetchLimits, Keep, Policy
from bot.home import default_home, symbol_directories
from bot.permissions import Permissions, read_permissions
from bot.redaction import Kind, Redaction, key_in
from bot.symbols.reach import Reach, authorization, read_credentials
from bot.tickets import Tickets, is_address, read_trackers

if TYPE_CHECKING:
    from bot.fetch.remote import Terms
    from bot.install.vault import Vault
    from bot.shelf import Shelf
    from bot.symbols.fetching import SymbolServers
    from bot.symbols.paths import Tiers
    from bot.web.guard import Access
    from storage.choices import Defaults
    from storage.database import Place
    from storage.gates import Limits
    from storage.retention import Keep as History


def _words(value: Any) -> Any:
    # "a, b c" in the environment is a list of three.
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _kept(value: Any) -> Any:
    # It was a yes or no once.
    return {"true": "always", "1": "always", "false": "never", "0": "never"}.get(str(value).lower(), value)


def _channel_days(value: Any) -> Any:
    # "C1=30, C2=7" in the environment.
    words = _words(value)
    return dict(word.partition("=")[::2] for word in words) if isinstance(words, list) else value


Mode = Literal["thread", "channel", "broadcast"]


def _shelved(value: str) -> str:
    from bot.shelf import checked_place

    return checked_place(value)


def _permitted(value: Any) -> Any:
    if isinstance(value, str):
        read_permissions(value)
    return value


LOOPBACK = ("127.0.0.1", "::1")
Networks = Annotated[frozenset[IPvAnyNetwork], NoDecode, BeforeValidator(_words)]
Words = Annotated[frozenset[str], NoDecode, BeforeValidator(_words)]
ChannelDays = Annotated[dict[str, Annotated[int, Field(ge=1)]], NoDecode, BeforeValidator(_channel_days)]
Size = Annotated[ByteSize, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """What an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix="PILEUP_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    home: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=lambda: default_home(os.environ),
        description="Directory for the database, caches and downloads. Default: the platform's data directory.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="Where history lives: `sqlite:///path` or `postgresql://user:password@host/database`. "
        "Default: `pileup.sqlite` in the home directory.",
    )
    symbols: str | None = Field(
        default=None,
        description="Directories with symbol tables and `srv*cache*https://…` servers, separated by `;`."
        " `_NT_SYMBOL_PATH` comes next.",
    )
    symbol_first_seconds: Seconds = Field(
        default=5, description="How long a first verdict waits for symbol servers; it is edited when more arrives."
    )
    symbol_seconds: Seconds = Field(default=60, description="How long one job may wait for symbol servers in all.")
    symbol_cache_size: Size = Field(
        default=ByteSize(20_000_000_000), description="Largest store of fetched symbols, as in `20GB`."
    )
    symbol_credentials: SecretStr | None = Field(
        default=None,
        description="What symbol servers ask for: `host=user:password` or `host=token`, separated by spaces.",
    )
    symbol_proxy: str | None = Field(
        default=None, description="Proxy for symbol servers. Default: `_NT_SYMBOL_PROXY`, then `HTTPS_PROXY`."
    )
    symbol_certificates: Annotated[Path, AfterValidator(Path.expanduser)] | None = Field(
        default=None, description="A PEM file of CA certificates for symbol servers. Default: the system's."
    )
    rules: Annotated[Path, AfterValidator(Path.expanduser)] | None = Field(
        default=None, description="A TOML file with your own rules: teams, modules never to blame, known-bad versions."
    )
    slack_bot_token: SecretStr | None = Field(default=None, description="The bot token, `xoxb-…`.")
    slack_app_token: SecretStr | None = Field(
        default=None, description="The app-level token with `connections:write`, `xapp-…`; for Socket Mode."
    )
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="The signing secret; needed only when `PILEUP_TRANSPORT=http`."
    )
    slack_api_url: str = Field(default="https://slack.com/api/", description="Address of the Web API.")
    transport: Literal["socket", "http"] = Field(
        default="socket", description="How events arrive: `socket` (no public address needed) or `http`."
    )
    http_port: int = Field(
        default=3000, ge=1, le=65535, description="Port for events when `PILEUP_TRANSPORT=http`: `POST /slack/events`."
    )
    http_address: str = Field(
        default="127.0.0.1", description="Address they are taken at; what ends TLS in front of it reaches it there."
    )
    http_url: str | None = Field(
        default=None, description="Where Slack and people reach that port, as `https://pileup.example.com`."
    )
    web_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port of the web pages. Default: there are none."
    )
    web_address: str = Field(
        default="127.0.0.1", description="Address they are served at; another than loopback needs a secret."
    )
    web_url: str | None = Field(
        default=None, description="Where people reach them, as `https://pileup.example.com`; verdicts then link there."
    )
    web_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="Signs the links to pages, 16 characters or more. Without it no link is needed.",
    )
    web_proxies: Networks = Field(
        default=frozenset(),
        description="Addresses or networks of the proxies in front of them, which say for whom they ask"
        " (`X-Forwarded-For`), as `10.0.7.0/24`. One on this machine always is believed.",
    )
    metrics_from: Networks = Field(
        default=frozenset(),
        description="Addresses or networks that may ask for `/metrics`, beside this machine.",
    )
    web_link_days: int = Field(default=30, ge=1, le=366, description="Days after which a link to the pages ends.")
    web_session_hours: int = Field(
        default=12, ge=1, le=24 * 30, description="Hours after which who signed in has to sign in again."
    )
    web_issuer: str = Field(
        default="https://slack.com",
        description="Who vouches for people that sign in: an issuer of OpenID Connect that speaks Slack's claims.",
    )
    api_per_minute: int = Field(
        default=120, ge=1, le=100_000, description="Requests a minute that one token may make of the API."
    )
    uploads: Annotated[str, AfterValidator(_shelved)] | None = Field(
        default=None,
        description="Where posted dumps lie until they are read: a directory or, with the extra of the store,"
        " `s3://bucket/prefix`, `gs://…`, `az://…`; with workers on several machines, a place that all of them see."
        " Default: `uploads` in the home directory.",
    )
    uploads_at_once: int = Field(
        default=20, ge=1, le=10_000, description="Posted dumps of one token or person that may wait at the same time."
    )
    uploads_a_day: int = Field(
        default=1000, ge=1, le=1_000_000, description="Dumps that one token or person may post in 24 hours."
    )
    webhook_private_addresses: bool = Field(
        default=False, description="Whether webhooks may be at loopback and private addresses, and without https."
    )
    slack_client_id: str | None = Field(
        default=None,
        description="The app's client ID (*Basic Information*): with the secret, people sign in with Slack, and "
        "without `PILEUP_SLACK_BOT_TOKEN` workspaces install the bot themselves.",
    )
    slack_client_secret: SecretStr | None = Field(default=None, description="The app's client secret.")
    token_secret: SecretStr | None = Field(
        default=None,
        description="Encrypts the tokens of workspaces in the database. Default: `PILEUP_SLACK_CLIENT_SECRET`.",
    )
    teams: Words = Field(
        default=frozenset(), description="Ids of the workspaces that may install the bot. Empty: any that comes."
    )
    web_channels: Words = Field(
        default=frozenset(), description="Channel ids whose crashes every signed link shows, not their own alone."
    )
    channels: Words = Field(
        default=frozenset(),
        description="Channel ids the bot works in, separated by commas; direct messages need none. "
        "Empty: wherever it is invited.",
    )
    users: Words = Field(default=frozenset(), description="User ids the bot listens to. Empty: everybody.")
    managers: Words = Field(
        default=frozenset(),
        description="Who may acknowledge, assign, mute, merge, mark as known or wrong, and analyze again: ids of people"
        " (U…) and user groups (S…), or `admins`, those of the workspace. Empty: everybody.",
    )
    may: Annotated[str, BeforeValidator(_permitted)] = Field(
        default="",
        description="Who may do single deeds, in place of the managers: `mute=admins known=U0ANNA0001,S0STORAGE1`.",
    )
    audit_days: int = Field(default=365, ge=1, description="Days for which it is kept who asked and did what.")
    channel_mode: Mode = Field(
        default="thread",
        description="How verdicts stand where nobody chose otherwise: in the `thread` of the message, in the thread and"
        " the channel (`broadcast`), or in the `channel` itself with their details below.",
    )
    broadcast_channels: Words = Field(
        default=frozenset(), description="Channel ids where the summary is also shown in the channel itself."
    )
    routes: Annotated[Path, AfterValidator(Path.expanduser)] | None = Field(
        default=None, description="A TOML file with routing rules, quiet hours and digests: who is told what, and when."
    )
    locked: Words = Field(
        default=frozenset(),
        description="What only settings can change, and nobody in Slack: of `mode`, `routes`, `quiet` and `digests`.",
    )
    link_hosts: Words = Field(
        default=frozenset(),
        description="Hosts whose links are looked at whatever they end in; `.example.com` stands for all below it.",
    )
    allowed_hosts: Words = Field(
        default=frozenset(), description="The only hosts that links are fetched from. Empty: any public host."
    )
    denied_hosts: Words = Field(
        default=frozenset(), description="Hosts that links are never fetched from; `.example.com` for all below it."
    )
    link_credentials: SecretStr | None = Field(
        default=None,
        description="What hosts of links ask for, shown to them over https alone: `host=user:password` or `host=token`,"
        " separated by spaces.",
    )
    buckets: Words = Field(
        default=frozenset(),
        description="Buckets that `s3://`, `gs://` and `az://` links may lead to, as `s3://crash-dumps`. Empty: none.",
    )
    allow_private_addresses: bool = Field(
        default=False, description="Whether links may point to loopback and private addresses."
    )
    max_download: Size = Field(default=ByteSize(16_000_000_000), description="Largest download, as in `16GB`.")
    download_seconds: Seconds = Field(default=1800, description="Longest download, in seconds.")
    download_idle_seconds: Seconds = Field(default=30, description="Longest silence of a server, in seconds.")
    download_attempts: int = Field(default=4, ge=1, le=20, description="How often a broken download is tried.")
    disk_quota: Size = Field(
        default=ByteSize(100_000_000_000),
        description="Room for downloads, as in `100GB`; the oldest dumps that were kept go first.",
    )
    max_unpacked: Size = Field(
        default=ByteSize(64_000_000_000), description="Most bytes that one archive may unpack to, as in `64GB`."
    )
    max_dumps: int = Field(default=20, ge=1, le=200, description="Most dumps of one archive that are analysed.")
    analysis_seconds: Seconds = Field(default=600, description="Longest analysis, in seconds; then it is stopped.")
    analysis_memory: Size = Field(
        default=ByteSize(2_000_000_000), description="Memory an analysis may use, as in `2GB`."
    )
    workers: int = Field(
        default=2,
        ge=0,
        le=64,
        description="How many dumps a process works on at the same time; 0 leaves them all to `pileup worker`.",
    )
    host_limit: int | None = Field(
        default=None, ge=1, description="Most dumps of one download host worked on at the same time, by all workers."
    )
    channel_limit: int | None = Field(
        default=None, ge=1, description="Most dumps of one Slack channel worked on at the same time, by all workers."
    )
    drain_seconds: Annotated[float, Field(ge=0)] = Field(
        default=20,
        description="How long a `pileup worker` that is asked to stop may go on with what it has in hand; what is not"
        " done then goes back to the others.",
    )
    lease_seconds: Seconds = Field(
        default=60, description="After so many seconds without a sign of life another worker takes a job over."
    )
    keep_dumps: Annotated[Keep, BeforeValidator(_kept)] = Field(
        default="never",
        description="Which dumps stay after their analysis: `never`, `small` (up to 100 MB a job), or `always`; then a"
        " dump that was read where it lies is downloaded after its verdict.",
    )
    page_cache_size: Size = Field(
        default=ByteSize(5_000_000_000), description="Largest store of pages of dumps that are read where they lie."
    )
    keep_reports_days: int | None = Field(
        default=None, ge=1, description="Age in days at which reports leave history. Default: they stay."
    )
    keep_reports_size: Size | None = Field(
        default=None,
        description="Most bytes that reports may take in history, as in `5GB`; the oldest leave first. Default: any.",
    )
    keep_channels_days: ChannelDays = Field(
        default={},
        description="Ages in days at which what was told in a channel leaves history: `C0PRIVATE1=30 C0LAB00001=7`.",
    )
    tickets: Annotated[dict[str, str], NoDecode, BeforeValidator(lambda value: read_trackers(_words(value)))] = Field(
        default={},
        description="Trackers whose tickets become links: `jira=https://acme.atlassian.net github=https://github.com"
        " servicenow=https://acme.service-now.com`.",
    )
    new_ticket: str | None = Field(
        default=None,
        description="The link that begins a ticket, with `{title}` and `{body}`:"
        " `https://github.com/acme/ops/issues/new?title={title}&body={body}`.",
    )
    redact: Annotated[frozenset[Kind], NoDecode, BeforeValidator(_words)] = Field(
        default=frozenset(),
        description="What reports say under pseudonyms: any of `hosts`, `users`, `paths`. Empty: nothing.",
    )
    redaction_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="The key of pseudonyms, the same for all workers. Default: `redaction.key` in the home directory.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much `serve` logs."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="How log lines look: `text`, or `json` with an object a line."
    )

    @field_validator("new_ticket")
    @classmethod
    def _beginning(cls, value: str | None) -> str | None:
        if value is not None and not is_address(value):
            raise ValueError("must be an address, as in https://tickets.example.com/new?title={title}")
        return value

    @field_validator("web_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        is_local = urlsplit(value).scheme == "http" and urlsplit(value).hostname in (*LOOPBACK, "localhost")
        if not is_local and (urlsplit(value).scheme != "https" or not urlsplit(value).netloc):
            raise ValueError("must be an address that begins with https://")
        return value.rstrip("/")

    @field_validator("web_url", "http_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc):
            raise ValueError("must be an address such as https://pileup.example.com")
        return value and value.rstrip("/")

    @field_validator("web_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("must have 16 characters or more")
        if value is None and info.data.get("web_port") and info.data.get("web_address") not in LOOPBACK:
            raise ValueError("is needed where PILEUP_WEB_ADDRESS is not 127.0.0.1 or ::1")
        return value

    @field_validator("slack_bot_token", "slack_app_token")
    @classmethod
    def _token(cls, value: SecretStr | None, info: Any) -> SecretStr | None:
        prefix = {"slack_bot_token": "xoxb-", "slack_app_token": "xapp-"}[info.field_name]
        # A token that is renewed by itself carries another prefix in front.
        if value is not None and not value.get_secret_value().removeprefix("xoxe.").startswith(prefix):
            raise ValueError(f"must begin with {prefix}")
        return value

    @field_validator("symbol_credentials", "link_credentials")
    @classmethod
    def _credentials(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            read_credentials(value.get_secret_value())
        return value

    @field_validator("routes")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None:
            from bot.routes_file import read_routes

            read_routes(value)
        return value

    @field_validator("locked")
    @classmethod
    def _lockable(cls, value: frozenset[str]) -> frozenset[str]:
        if value - {"mode", "routes", "quiet", "digests"}:
            raise ValueError("may name mode, routes, quiet and digests")
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in ("sqlite", "postgresql", "postgres") or not parts.path.strip("/"):
                raise ValueError("must look like sqlite:///path or postgresql://user@host/database")
        return value

    @property
    def database(self) -> "Place":
        """Where history lives: a SQLite file, or the URL of a database. ``storage.database.spoken`` says it aloud."""
        from storage.database import file_of, is_postgresql

        if self.database_url is None:
            return self.home / "pileup.sqlite"
        url = self.database_url.get_secret_value()
        return url if is_postgresql(url) else file_of(url)

    @property
    def keep(self) -> "History":
        """How long history is kept."""
        from storage.retention import Keep as History

        reports = None if self.keep_reports_days is None else timedelta(days=self.keep_reports_days)
        channels = {channel: timedelta(days=days) for channel, days in self.keep_channels_days.items()}
        return History(reports, None if self.keep_reports_size is None else int(self.keep_reports_size), channels)

    @property
    def defaults(self) -> "Defaults":
        """What holds where nobody chose otherwise in Slack."""
        from dataclasses import replace

        from bot.routes_file import read_routes
        from storage.choices import Defaults

        given = Defaults() if self.routes is None else read_routes(self.routes)
        modes: dict[str, Mode] = dict.fromkeys(self.broadcast_channels, "broadcast")
        return replace(given, mode=self.channel_mode, modes=modes, locked=self.locked)

    @property
    def ticketing(self) -> Tickets:
        """What makes links of tickets, and begins new ones."""
        return Tickets(self.tickets, self.new_ticket)

    @cached_property
    def redaction(self) -> Redaction | None:
        """What takes names out of reports; None where nothing is to be taken out. Raises: OSError, without a key."""
        given = self.redaction_key.get_secret_value() if self.redaction_key else None
        return Redaction(self.redact, key_in(self.home, given)) if self.redact else None

    @property
    def access(self) -> "Access":
        """Who may see which pages."""
        from bot.web.guard import Access

        secret = self.web_secret.get_secret_value() if self.web_secret else None
        return Access(secret, self.web_url, self.web_link_days, self.web_channels, frozenset(self.metrics_from))

    @property
    def permissions(self) -> Permissions:
        """Who may do what."""
        return Permissions(self.managers, read_permissions(self.may))

    @property
    def installs(self) -> tuple[str, str] | None:
        """The app's id and secret where workspaces install the bot themselves; None where it serves one."""
        if self.slack_bot_token is not None or self.slack_client_id is None or self.slack_client_secret is None:
            return None
        return self.slack_client_id, self.slack_client_secret.get_secret_value()

    @property
    def vault(self) -> "Vault":
        """What seals the tokens of workspaces. Raises: ValueError, where there is no secret for it."""
        from bot.install.vault import Vault

        secret = self.token_secret or self.slack_client_secret
        if secret is None:
            raise ValueError("there is no secret to seal tokens with")
        return Vault(secret.get_secret_value())

    @property
    def uploads_path(self) -> Path:
        """The directory of this machine that posted dumps come in at."""
        if self.uploads is None or "://" in self.uploads:
            return self.home / "uploads"
        return Path(self.uploads).expanduser()

    @property
    def shelf(self) -> "Shelf":
        """Where posted dumps lie. Raises: ShelfFailed, where the extra of an object store is not installed."""
        from bot.shelf import shelf_at

        return shelf_at(self.uploads, self.uploads_path)

    @property
    def policy(self) -> Policy:
        """Where links may lead."""
        return Policy(self.allow_private_addresses, self.allowed_hosts, self.denied_hosts, self.buckets)

    @property
    def terms(self) -> "Terms":
        """How links are fetched."""
        from bot.fetch.remote import Terms
        from bot.fetch.safety import Credentials

        given = read_credentials(self.link_credentials.get_secret_value() if self.link_credentials else "")
        credentials = Credentials({host: authorization(user, secret) for host, (user, secret) in given.items()})
        return Terms(self.fetch_limits, self.policy, self.home, credentials)

    def upload_terms(self, token: str) -> "Terms":
        """How files that were posted in Slack are fetched: with the bot's token, which only Slack's own hosts see."""
        from dataclasses import replace

        from bot.fetch.safety import Credentials

        api = urlsplit(self.slack_api_url)
        is_slack = api.scheme == "https" and api.hostname in ("slack.com", "www.slack.com")
        place = ".slack.com" if is_slack else f"{api.scheme}://{api.netloc}" if api.scheme == "http" else api.netloc
        hosts = self.policy.hosts | ({".slack.com" if is_slack else api.hostname or ""} if self.policy.hosts else set())
        credentials = Credentials({place: f"Bearer {token}"})
        return replace(self.terms, policy=replace(self.policy, hosts=frozenset(hosts)), credentials=credentials)

    @property
    def fetch_limits(self) -> FetchLimits:
        """What a download may cost."""
        return FetchLimits(
            max_bytes=int(self.max_download),
            total_seconds=self.download_seconds,
            idle_seconds=self.download_idle_seconds,
            attempts=self.download_attempts,
            quota_bytes=int(self.disk_quota),
        )

    @property
    def limits(self) -> "Limits":
        """How many jobs of a host, or of a channel, are worked on at the same time."""
        from storage.gates import Limits

        return Limits(self.host_limit, self.channel_limit)

    @property
    def archive_limits(self) -> ArchiveLimits:
        """What the unpacking of an archive may cost."""
        return ArchiveLimits(max_dumps=self.max_dumps, max_bytes=int(self.max_unpacked), seconds=self.download_seconds)

    @property
    def analysis_limits(self) -> ChildLimits:
        """What an analysis may cost."""
        return ChildLimits(self.analysis_seconds, int(self.analysis_memory))

    def symbol_paths(self, first: tuple[str, ...] = ()) -> tuple[Path, ...]:
        """The symbol directories in order: those of the command line, ours, WinDbg's."""
        return symbol_directories(*first, self.symbols, os.environ.get("_NT_SYMBOL_PATH"))

    def symbol_servers(self, first: tuple[str, ...] = ()) -> "SymbolServers | None":
        """What finds and fetches symbols for one job, from the same paths; None where they name no place at all."""
        tiers = self.symbol_tiers(first)
        if not tiers:
            return None
        from bot.symbols.fetching import Limits, SymbolServers

        limits = Limits(self.symbol_first_seconds, self.symbol_seconds, int(self.symbol_cache_size))
        return SymbolServers(tiers, self.symbol_store, limits, self.symbol_reach)

    def symbol_tiers(self, first: tuple[str, ...] = ()) -> "tuple[Tiers, ...]":
        """The elements of the same paths, with the servers that they name."""
        from bot.symbols.paths import symbol_tiers

        return symbol_tiers(self.symbol_store, *first, self.symbols, os.environ.get("_NT_SYMBOL_PATH"))

    def symbol_gaps(self, first: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Sentences about the places of the same paths that are not looked into."""
        from bot.symbols.paths import is_server, passed_over

        return tuple(
            f"the symbol path names {place.rpartition('@')[2]}, which is no address of a server"
            if is_server(place)
            else f"the symbol path names {place}, which only Windows can open: mount it and name the directory"
            for place in passed_over(*first, self.symbols, os.environ.get("_NT_SYMBOL_PATH"))
        )

    @property
    def symbol_store(self) -> Path:
        """The symbol store that keeps what no element of a symbol path keeps."""
        return self.home / "symbols"

    @property
    def symbol_reach(self) -> Reach:
        """How symbol servers are reached."""
        proxy = self.symbol_proxy or os.environ.get("_NT_SYMBOL_PROXY") or None
        if proxy is not None and "://" not in proxy:
            proxy = f"http://{proxy}"
        secrets = self.symbol_credentials.get_secret_value() if self.symbol_credentials else ""
        return Reach(proxy=proxy, certificates=self.symbol_certificates, credentials=read_credentials(secrets))


class BadSettings(Exception):
    """Settings that cannot be used; ``problems`` has one line for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_settings(**overrides: Any) -> Settings:
    """The settings in force: arguments, then the environment, then ``.env``.

    Raises:
        BadSettings: with one line for each wrong value, which is not repeated (it may be a token).
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [f"{variable(str(problem['loc'][0]))}: {_reason(problem['msg'])}" for problem in error.errors()]
        raise BadSettings(tuple(lines)) from None


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return f"PILEUP_{field.upper()}"


def settings_table() -> str:
    """The table of all settings in Markdown, for the README."""
    rows = [
        f"| `{variable(name)}` | {_default(field.get_default())} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def _default(value: Any) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case ByteSize():
            return f"`{value.human_readable(decimal=True, separator='')}`".replace(".0", "")
        case float():
            return f"`{value:g}`"
        case str() | int():
            return f"`{value}`"
    return ""  # none, an empty list, or made when it is asked for


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
