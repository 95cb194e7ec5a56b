"""Make ``blocks.schema.json`` again: ``python -m tests.slack_types``."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.second_slack.packages import KEPT, fetch, find_node
from tests.slack_types import HERE, SCHEMA

GENERATOR = Path("node_modules") / "ts-json-schema-generator" / "bin" / "ts-json-schema-generator.js"


def main() -> int:
    """Write the schema. The exit status is 1 where Node.js or the packages are missing."""
    node = find_node()
    reason = "no Node.js that is new enough" if node is None else fetch(node, HERE)
    if node is None or reason is not None:
        print(reason, file=sys.stderr)
        return 1
    place = KEPT / HERE.name
    for name in ("sent.ts", "tsconfig.json"):
        shutil.copy(HERE / name, place / name)
    command = [
        node.program,
        str(GENERATOR),
        "--path",
        "sent.ts",
        "--tsconfig",
        "tsconfig.json",
        "--type",
        "Sent",
        "--expose",
        "all",
    ]
    done = subprocess.run(command, cwd=place, capture_output=True, check=True)
    made = {"$comment": _source(), **_bare(json.loads(done.stdout))}
    SCHEMA.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", "utf-8")
    shutil.copy(place / "node_modules" / "@slack" / "types" / "LICENSE", HERE / "LICENSE")
    print(f"{SCHEMA}: {len(made['definitions'])} definitions")
    return 0


def _source() -> str:
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    made = " by ".join(f"{name} {version}" for name, version in wanted.items())
    return f"Made from {made}. Copyright of the types: LICENSE."


def _bare(value: Any) -> Any:
    # Without the prose, which no validation reads.
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if key != "description" or isinstance(item, dict)}
    return [_bare(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
