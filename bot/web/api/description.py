"""What describes the API: ``openapi.json`` (OpenAPI 3.1) with this version and the schema of reports; also a page."""

import functools
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analysis.verdict.report import SCHEMA_FILE

FILE = Path(__file__).with_name("openapi.json")


@dataclass(frozen=True, slots=True)
class Operation:
    """One address as the page shows it; ``parameters`` and ``responses`` without references."""

    method: str
    path: str
    about: dict[str, Any]
    parameters: tuple[dict[str, Any], ...]
    responses: tuple[tuple[str, str], ...]


@functools.cache
def description() -> dict[str, Any]:
    """The whole description."""
    found: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    found["info"]["version"] = version("pileup")
    report = json.loads(SCHEMA_FILE.read_text("utf-8"))
    del report["$schema"]  # of another draft; it uses what both have
    found["components"]["schemas"]["Report"] = report
    return found


def operations() -> list[Operation]:
    """Every address, in the order of the description."""
    whole = description()
    return [
        Operation(
            method.upper(),
            whole["servers"][0]["url"] + path,
            about,
            tuple(_resolved(whole, one) for one in about.get("parameters", ())),
            tuple((status, _resolved(whole, said)["description"]) for status, said in about["responses"].items()),
        )
        for path, methods in whole["paths"].items()
        for method, about in methods.items()
    ]


def _resolved(whole: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    # What a reference into the description leads to.
    found: Any = whole
    if "$ref" not in value:
        return value
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    resolved: dict[str, Any] = found
    return resolved
