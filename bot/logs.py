"""Log lines of ``serve``: time, level, subject, message; one line each, on standard error."""

import logging
import sys
import time

_NOISY = ("slack_bolt", "slack_sdk", "httpx", "httpcore", "asyncio", "aiohttp")


class OneLine(logging.Formatter):
    """A record as one line: what it quotes can neither forge a second one nor paint a terminal. A traceback follows
    indented."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        first, *rest = [_printable(line) for line in super().format(record).splitlines()] or [""]
        return "\n".join([first, *(f"    {line}" for line in rest)])


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in line.replace("\t", " "))


def configure(level: str) -> None:
    """Log to standard error from that level on; libraries only from warning on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
