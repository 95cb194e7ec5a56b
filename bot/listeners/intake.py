"""From a Slack event to jobs: what a message asks for, decided without any network.

A link in a message is a job, and so is what WinDbg printed, pasted whole; words in a mention or a direct message are
a question. Event and jobs are stored before the event is acknowledged, and both by keys: an event that comes twice,
or a mention that comes as ``app_mention`` and as ``message``, asks once.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from analysis.formats.windbg.sniff import is_windbg
from bot import urgency
from bot.fetch.links import MAX_LINKS, Link, find_links, is_wanted, looks_like_a_dump
from bot.permissions import ANYBODY, Permissions
from storage.events import Request, fingerprint
from storage.jobs import NewJob

# Anything else that has a subtype is a join, a topic, a bot or a deletion.
SPOKEN = frozenset({None, "file_share", "thread_broadcast", "me_message"})
MAX_QUESTION = 500
_PASSWORD = re.compile(r"\s*pass(?:word|wort|phrase)?\s*[:=]\s*(\S.{0,200}?)\s*", re.IGNORECASE)
ANALYZE, ASK, UNLOCK = "analyze", "ask", "unlock"  # kinds of jobs
PASTED = "WinDbg output in this message"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom and where the bot listens to; empty sets allow everybody and everywhere, direct messages need no channel.

    ``permissions`` say who may do what changes what is said of a failure. ``pages`` is the address of our own pages:
    what a link below it leads to is no dump.
    """

    bot_user: str
    channels: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    link_hosts: frozenset[str] = frozenset()
    permissions: Permissions = ANYBODY
    pages: str | None = None

    def is_page(self, url: str) -> bool:
        """Whether a link leads to one of our own pages."""
        return self.pages is not None and (url == self.pages or url.startswith(f"{self.pages}/"))

    def named(self, words: str) -> str:
        """Words with "crash 12" in place of the link to its page."""
        if self.pages is None:
            return words
        return re.sub(
            rf"<?{re.escape(self.pages)}/(?:crashes|open/[^/\s>|]+)/(\d+)/?(?:\|[^>]*)?>?", r"crash \1", words
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """A file or a snippet that was posted with a message, and where Slack keeps it."""

    name: str
    url: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as far as it matters. ``addressed``: a mention or a direct message, ``direct``: the latter."""

    team: str
    channel: str
    ts: str
    thread: str
    user: str
    text: str
    addressed: bool
    direct: bool = False
    old_links: frozenset[str] = frozenset()
    is_edit: bool = False
    files: tuple[Posted, ...] = ()


def requests(body: Json, rules: Rules) -> list[Request]:
    """What an event asks for; empty for most."""
    heard = _heard(body, rules)
    if heard is None or not is_allowed(heard.channel, heard.user, rules, direct=heard.direct):
        return []
    links = [
        link
        for link in find_links(heard.text)
        if link.url not in heard.old_links
        and not rules.is_page(link.url)
        and is_wanted(link, addressed=heard.addressed, hosts=rules.link_hosts)
    ]
    if is_windbg(heard.text):
        # What a debugger prints has links of its own, to help pages and symbol servers: nobody asks for those.
        links = [link for link in links if looks_like_a_dump(link.url)]
        if not links and not heard.is_edit:
            return [_for_text(heard)]
    wanted = [*(_for_link(heard, link) for link in links), *_for_files(heard)]
    if wanted:
        return wanted
    password = _password(heard, rules)
    if password is not None:
        return [_for_password(heard, password)]
    if heard.addressed and not heard.is_edit:
        return [_for_question(heard, rules)]
    return []


def refused(body: Json, rules: Rules) -> Heard | None:
    """What somebody said to the bot where it does not listen, or to whom it does not; None for anything else."""
    heard = _heard(body, rules)
    if heard is None or not heard.addressed or heard.is_edit:
        return None
    return None if is_allowed(heard.channel, heard.user, rules, direct=heard.direct) else heard


def deleted(body: Json) -> tuple[str, str] | None:
    """Channel and time stamp of the message that an event says was deleted; None for any other event."""
    event = body["event"]
    if event.get("subtype") != "message_deleted" or not event.get("deleted_ts"):
        return None
    return event["channel"], event["deleted_ts"]


def _heard(body: Json, rules: Rules) -> Heard | None:
    event = body["event"]
    old_links: frozenset[str] = frozenset()
    message = event
    is_edit = event.get("subtype") == "message_changed"
    if is_edit:
        # An unfurled preview or our own edit arrives the same way: only a link that is new counts.
        message = event.get("message") or {}
        before = event.get("previous_message") or {}
        old_links = frozenset(link.url for link in find_links(before.get("text") or ""))
    elif event.get("type") != "app_mention" and event.get("subtype") not in SPOKEN:
        return None
    if message.get("bot_id") or not message.get("user") or message["user"] == rules.bot_user:
        return None
    text = message.get("text") or ""
    is_im = event.get("channel_type") == "im" or event["channel"].startswith("D")
    addressed = is_im or event.get("type") == "app_mention" or f"<@{rules.bot_user}" in text
    ts = message["ts"]
    team = body.get("team_id") or event.get("team") or ""
    thread = message.get("thread_ts") or ts
    return Heard(
        team, event["channel"], ts, thread, message["user"], text, addressed, is_im, old_links, is_edit,
        () if is_edit else _posted(message),
    )  # fmt: skip


def _posted(message: Json) -> tuple[Posted, ...]:
    # A file that lies elsewhere is a link of its own; one that was deleted, or is hidden by Slack's plan, has none.
    found = []
    for file in message.get("files") or []:
        url = file.get("url_private_download") or file.get("url_private")
        if url and file.get("mode") not in ("external", "tombstone", "hidden_by_limit"):
            found.append(Posted(str(file.get("name") or file.get("title") or "a file"), url, file.get("size")))
    return tuple(found[:MAX_LINKS])


def is_allowed(channel: str, user: str, rules: Rules, *, direct: bool) -> bool:
    """Whether the bot listens to a person in a channel, or in a direct message."""
    is_place = direct or not rules.channels or channel in rules.channels
    return is_place and (not rules.users or user in rules.users)


def _for_link(heard: Heard, link: Link) -> Request:
    key = f"{heard.team}:{heard.channel}:{heard.ts}:{fingerprint(link.url)}"
    payload = {**_place(heard), "shown": link.shown}
    return _request(heard, link.url, _job(heard, key, payload, link, urgency.of_dump(link.name)))


def _for_files(heard: Heard) -> list[Request]:
    # Unmentioned, a text is looked at and answered only if a debugger wrote it: people post all kinds of logs.
    requests = []
    for file in heard.files:
        is_text = file.name.lower().endswith((".txt", ".log"))
        if not (heard.addressed or is_text or looks_like_a_dump(f"https://slack/{quote(file.name)}")):
            continue
        payload = {**_place(heard), "shown": file.name, "upload": "yes"}
        if is_text and not heard.addressed:
            payload["quiet"] = "yes"
        key = f"{heard.team}:{heard.channel}:{heard.ts}:{fingerprint(file.url)}"
        urgent = urgency.of_dump(file.name, file.size)
        requests.append(_request(heard, file.url, _job(heard, key, payload, Link(file.url, file.name), urgent)))
    return requests


def _for_text(heard: Heard) -> Request:
    key = f"{heard.team}:{heard.channel}:{heard.ts}:pasted"
    payload = {**_place(heard), "shown": PASTED, "pasted": "yes"}
    job = NewJob(key, payload, ANALYZE, secret=heard.text, priority=urgency.SMALL, channel=heard.channel)
    return _request(heard, "pasted", job)


def _password(heard: Heard, rules: Rules) -> str | None:
    # "password: infected", in a thread: the answer to our question, if we asked one there.
    if heard.is_edit or heard.thread == heard.ts:
        return None
    match = _PASSWORD.fullmatch(re.sub(rf"<@{re.escape(rules.bot_user)}(\|[^>]*)?>", " ", heard.text))
    return html.unescape(match[1].strip("`")) if match else None


def _for_password(heard: Heard, password: str) -> Request:
    key = f"{heard.team}:{heard.channel}:{heard.ts}:password"
    return _request(heard, "password", NewJob(key, _place(heard), UNLOCK, secret=password, priority=urgency.TALK))


def _for_question(heard: Heard, rules: Rules) -> Request:
    question = re.sub(rf"<@{re.escape(rules.bot_user)}(\|[^>]*)?>", " ", heard.text)
    words = " ".join(rules.named(question).split())[:MAX_QUESTION]
    payload = {**_place(heard), "question": words, "user": heard.user}
    key = f"{heard.team}:{heard.channel}:{heard.ts}:question"
    return _request(heard, "question", NewJob(key, payload, ASK, priority=urgency.TALK))


def _job(heard: Heard, key: str, payload: dict[str, str], wanted: Link, urgent: int) -> NewJob:
    gates = (wanted.host or None, heard.channel)
    return NewJob(key, payload, ANALYZE, wanted.url, priority=urgent, host=gates[0], channel=gates[1])


def _request(heard: Heard, link: str, job: NewJob) -> Request:
    return Request(heard.team, heard.channel, heard.ts, link, job)


def _place(heard: Heard) -> dict[str, str]:
    return {"team": heard.team, "channel": heard.channel, "ts": heard.ts, "thread": heard.thread}
