"""Texts in WinDbg's layout, with invented machines, drivers and addresses; the words between are our own."""

from pathlib import Path

FOLDER = Path(__file__).with_name("examples")
EXAMPLES = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.txt"))}

HUNG_SHUTDOWN = EXAMPLES["hung-shutdown"]
OLD_FAULT = EXAMPLES["old-fault"]
HELD_REQUEST = EXAMPLES["held-request"]
NO_CODE = EXAMPLES["no-code"]
MODULES = EXAMPLES["modules"]
SMALL_DUMP = EXAMPLES["small-dump"]
REQUEST_ALONE = EXAMPLES["request-alone"]
LOCKS_ALONE = EXAMPLES["locks-alone"]
HUNG_32_BIT = EXAMPLES["hung-32-bit"]
