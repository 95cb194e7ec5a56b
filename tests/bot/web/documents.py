"""Pages as their elements, and reports in which every free text is one that an attacker would put there."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import fastjsonschema

from analysis.verdict.report import Report, validate
from tests.bot.reports import GOLDEN

Attributes = dict[str, str | None]
VOID = {"meta", "link", "br", "input", "img", "hr", "wbr"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% include 'x' %}",
    'x"]; evil [URL="javascript:alert(1)", label="\\N&quot;&#x3c;b&#x3e;',
    "]]><!--<a href=//evil.example>",
    "gpj\u202eexe.\x1b[31m\x00\ud800",
)


@dataclass
class Document(HTMLParser):
    """The elements of a page in order, what is said in it, and what was not closed."""

    elements: list[tuple[str, Attributes]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    is_broken: bool = False

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.is_broken = tag == "wbr"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        before = self.texts.pop() if self.is_broken and self.texts else ""  # a place where a line may end is no space
        (self.styles if "style" in self.open else self.texts).append(before + data)
        self.is_broken = False

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


def parsed(html: str) -> Document:
    document = Document()
    document.feed(html)
    document.close()
    assert document.open == []
    return document


def full_document() -> dict[str, Any]:
    """A report with something in every part of it."""
    document: dict[str, Any] = json.loads((GOLDEN / "reports" / "seed.json").read_text("utf-8"))
    chain = document["blocking"]["chains"][0]
    waiters = chain["waiters"]
    document["verdict"]["team"] = "Network drivers"
    document["blocking"]["deadlocks"] = [{"threads": waiters[:2], "locks": [chain["lock"]["address"]]}]
    document["stack_groups"] = [
        {
            "count": 70,
            "blocked": 2,
            "threads": waiters[1:],
            "processes": ["svchost.exe", "System"],
            "summary": "nt!ExAcquireResourceExclusiveLite",
            "trust": "scan",
            "stack": [{"address": "0x1", "symbol": "nt!KiSwapContext+0x76", "module": None, "trust": "scan"}],
        }
    ]
    document["irps"] = [
        {
            "address": "0xffff1",
            "major": "IRP_MJ_POWER",
            "minor": "IRP_MN_SET_POWER",
            "driver": "rassstp.sys",
            "device": "0xffff2",
            "pending_seconds": 300.0,
            "pending_trust": "structure",
        }
    ]
    document["modules"] += [
        {"name": "gone.sys", "base": "0x1", "size": 4096, "timestamp": None, "version": None, "unloaded": True}
    ]
    document["notes"] = ["stage waits: MissingSymbol"]
    document["windbg"] = {
        "module_name": "rassstp",
        "image_name": "rassstp.sys",
        "symbol_name": "rassstp+1a34",
        "failure_bucket_id": "0x9F_4_rassstp!unknown_function",
        "failure_id_hash": "{543694de-a010-6574-7223-2cd67b08a87a}",
        "bugcheck_str": "0x9F",
        "process_name": "System",
        "agrees": True,
        "hash_fits": True,
    }
    validate(document)
    return document


def with_texts(document: dict[str, Any], change: Callable[[str], str]) -> Report:
    """The report with every text changed that the contract leaves free."""
    whole = json.loads(json.dumps(document))
    for holder, key in list(_texts(whole)):
        before = holder[key]
        holder[key] = change(before)
        try:
            validate(whole)
        except fastjsonschema.JsonSchemaException:
            holder[key] = before
    return Report.from_json(whole)


def _texts(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        if isinstance(item, str):
            yield value, key
        else:
            yield from _texts(item)
