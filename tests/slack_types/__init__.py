"""What Slack's own types say of blocks, windows and home tabs: a JSON schema, and which kinds of blocks there are.

``blocks.schema.json`` is made from npm ``@slack/types`` (MIT, beside it) by ``python -m tests.slack_types``, or
``make slack-schema``; the versions are those of the lock file. It knows structure and words, but no lengths.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

HERE = Path(__file__).parent
SCHEMA = HERE / "blocks.schema.json"


def block_problem(block: Any) -> str | None:
    """What is wrong with a block of a message or a view, None where nothing is."""
    kind = block.get("type") if isinstance(block, dict) else None
    name = kinds().get(str(kind))
    return f"no block is of type {kind}" if name is None else _problem(name, block)


def view_problem(view: Any) -> str | None:
    """What is wrong with a window or a home tab, None where nothing is."""
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        return "neither a modal nor a home tab"
    problem = _problem("Modal" if view["type"] == "modal" else "Home", view | {"blocks": []})
    return problem or next((found for block in view["blocks"] if (found := block_problem(block))), None)


@cache
def kinds() -> dict[str, str]:
    """The definition of each type of block."""
    definitions = _schema()["definitions"]
    names = [option["$ref"].rpartition("/")[2] for option in definitions["KnownBlock"]["anyOf"]]
    return {_type(definitions[name]): name for name in names}


def _type(definition: dict[str, Any]) -> str:
    shape = definition if "properties" in definition else definition["anyOf"][0]
    return str(shape["properties"]["type"]["const"])


def _problem(name: str, value: Any) -> str | None:
    try:
        _validator(name)(value)
    except fastjsonschema.JsonSchemaValueException as error:
        return f"{name}: {str(error)[:300]}"
    return None


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    return found


@cache
def _validator(name: str) -> Callable[[Any], Any]:
    schema = {"$ref": f"#/definitions/{name}", "definitions": _schema()["definitions"]}
    made: Callable[[Any], Any] = fastjsonschema.compile(schema, use_default=False)
    return made
