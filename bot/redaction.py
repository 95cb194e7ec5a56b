"""Names of people, machines and places taken out of a report before anybody stores or tells it.

Each is replaced by a pseudonym that is the same wherever the same name stands, so that crashes of one machine still
belong together and can be searched for. The pseudonym is a keyed hash: who does not have the key cannot try names.
What stands in kept dumps and in links that people post is not touched.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["hosts", "users", "paths"]
KINDS: tuple[Kind, ...] = ("hosts", "users", "paths")

DIGITS = 8  # of a pseudonym: among 1,000 machines two share one in 1 of 8,600 histories
SHORTEST = {"hosts": 4, "users": 3}  # a shorter name is taken out where it stands as a name, not wherever it occurs
# These name failures and code, and are compared by the letter.
NAMES_OF_CODE = frozenset(
    {"signature", "aliases", "failure_bucket_id", "failure_id_hash", "symbol", "symbol_name", "function", "module"}
    | {"module_name", "image_name", "name", "driver", "vendor", "version", "code", "raw_code", "kind", "identity"}
    | {"sha256", "address", "trust", "rules"}
)
NOBODY = frozenset(
    {"public", "default", "default user", "all users", "administrator", "system", "localservice", "networkservice"}
    | {"appdata", "shared", "guest", "windows", "localhost", "workgroup", "authority", "builtin"}
)

_SLASH = r"[\\/]"
_PROFILE = re.compile(
    rf"(?i)({_SLASH}(?:users|documents and settings|home){_SLASH})"
    rf"([^\\/:*?\"<>|\r\n]{{1,64}}(?={_SLASH})|[^\\/:*?\"<>|\s,;]{{1,64}})"
)
_ENVIRONMENT = re.compile(
    r"(?i)\b(username|userdomain|userdnsdomain|clientname|computername|logonserver)\s*=\s*\\*([^\s;,\\\0]{1,64})"
)
_OF_USERS = frozenset({"username", "userdomain", "userdnsdomain"})
_MACHINE = re.compile(r"(?i)\b(machine name|computer name)\s*[:=]\s*([\w.-]{1,63})")
_SID = re.compile(r"\bS-1-5-21(?:-\d+){3,4}\b")
_MAIL = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_SHARE = re.compile(r"(\\\\)([A-Za-z0-9_][\w.-]{0,62})(?=\\)")
_FOLDERS = re.compile(
    r"(?i)(?<!\w)([a-z]:|\\\\[\w.-]+)\\(?!windows\\|program files|programdata\\)((?:[^\\/:*?\"<>|\r\n,;]{1,120}\\)+)"
)
_FOLDERS_UNIX = re.compile(r"(?<![\w/:.<])/((?:[^/\s\"'<>|:,;]{1,120}/){2,})(?=[^/\s])")


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is taken out, and the key of the pseudonyms."""

    kinds: frozenset[Kind]
    key: bytes

    def pseudonym(self, kind: Kind, name: str) -> str:
        """What stands for a name: ``host-3f2a91c0``."""
        digest = hmac.new(self.key, f"{kind}\0{name.strip().lower()}".encode("utf-8", "replace"), hashlib.sha256)
        return f"{kind.removesuffix('s')}-{digest.hexdigest()[:DIGITS]}"

    def document(self, document: dict[str, Any]) -> dict[str, Any]:
        """A report's document with pseudonyms for names. Done twice, it changes nothing more."""
        found = dict(self._named(document))
        words = self._anywhere(found)

        def text(key: str, value: str) -> str:
            if key == "computer_name":
                return found.get(value.strip().lower(), value)
            changed = self._text(value)
            return changed if key in NAMES_OF_CODE or words is None else words(changed)

        redacted: dict[str, Any] = _mapped("", document, text)
        return redacted

    def _named(self, document: dict[str, Any]) -> Iterator[tuple[str, str]]:
        # Each name that stands somewhere as one, in lower case, and its pseudonym.
        host = (document.get("system") or {}).get("computer_name")
        if "hosts" in self.kinds and host and not self._is_ours(host):
            yield host.strip().lower(), self.pseudonym("hosts", host)
        for value in _texts(document):
            for kind, name in self._names_in(value):
                if kind in self.kinds and name.lower() not in NOBODY and not self._is_ours(name):
                    yield name.strip().lower(), self.pseudonym(kind, name)

    def _names_in(self, value: str) -> Iterator[tuple[Kind, str]]:
        for match in _PROFILE.finditer(value):
            yield "users", match[2]
        for match in _ENVIRONMENT.finditer(value):
            yield ("users" if match[1].lower() in _OF_USERS else "hosts"), match[2]
        for pattern in (_MACHINE, _SHARE):
            for match in pattern.finditer(value):
                yield "hosts", match[2]

    def _text(self, value: str) -> str:
        # Names where their surroundings say that they are names.
        if "users" in self.kinds:
            value = _SID.sub(lambda match: self.pseudonym("users", match[0]), value)
            value = _MAIL.sub(lambda match: self.pseudonym("users", match[0]), value)
            value = _PROFILE.sub(lambda match: match[1] + self._for("users", match[2]), value)
        if "hosts" in self.kinds:
            value = _SHARE.sub(lambda match: match[1] + self._for("hosts", match[2]), value)
        for match in (*_ENVIRONMENT.finditer(value), *_MACHINE.finditer(value)):
            kind: Kind = "users" if match[1].lower() in _OF_USERS else "hosts"
            if kind in self.kinds:
                value = value.replace(match[0], match[0].replace(match[2], self._for(kind, match[2])))
        if "paths" in self.kinds:
            value = _FOLDERS.sub(lambda match: f"{match[1]}\\{self._for('paths', match[2])}\\", value)
            value = _FOLDERS_UNIX.sub(lambda match: f"/{self._for('paths', match[1])}/", value)
        return value

    def _for(self, kind: Kind, name: str) -> str:
        bare = name.strip("\\/ ")
        return bare if bare.lower() in NOBODY or self._is_ours(bare) else self.pseudonym(kind, bare)

    def _is_ours(self, name: str) -> bool:
        return re.fullmatch(rf"(?:host|user|path)-[0-9a-f]{{{DIGITS}}}", name) is not None

    def _anywhere(self, found: Mapping[str, str]) -> Callable[[str], str] | None:
        # The same names wherever they stand as words of their own: in sentences, in names of processes and files; not
        # in those of drivers, by which failures are told.
        least = {"host": SHORTEST["hosts"], "user": SHORTEST["users"]}
        long = [name for name, other in found.items() if len(name) >= least[other.partition("-")[0]]]
        if not long:
            return None
        words = "|".join(re.escape(name) for name in sorted(long, key=len, reverse=True))
        pattern = re.compile(rf"(?i)(?<![^\W_])(?<!-)(?:{words})(?![^\W_]|-)(?!!|\.sys\b|\.dll\b)")
        return lambda value: pattern.sub(lambda match: found[match[0].lower()], value)


def key_in(home: Path, given: str | None = None) -> bytes:
    """The key of pseudonyms: the one that is given, else that of the home directory, made when it is first needed.

    Raises:
        OSError: it can be neither read nor made.
    """
    if given is not None:
        return given.encode()
    place = home / "redaction.key"
    with suppress(FileExistsError):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "w") as file:
            file.write(secrets.token_hex(32))
    return place.read_text().strip().encode()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _mapped(key: str, value: Any, text: Callable[[str, str], str]) -> Any:
    if isinstance(value, dict):
        return {name: _mapped(name, item, text) for name, item in value.items()}
    if isinstance(value, list):
        return [_mapped(key, item, text) for item in value]
    return text(key, value) if isinstance(value, str) else value
