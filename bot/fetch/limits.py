"""What a fetch may cost and where it may go. Light: the settings are built from these."""

from dataclasses import dataclass
from typing import Literal

Keep = Literal["never", "small", "always"]  # which dumps stay after their analysis


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What a download may cost: bytes, seconds in all, seconds of silence, and how often it is tried.

    A server that never falls silent can still take for ever: after ``patience_seconds`` it must have sent
    ``slowest_rate`` bytes a second on average. ``quota_bytes`` hold all downloads together, kept ones included.
    """

    max_bytes: int = 16_000_000_000
    total_seconds: float = 1800.0
    idle_seconds: float = 30.0
    connect_seconds: float = 10.0
    attempts: int = 4
    first_wait_seconds: float = 0.5
    patience_seconds: float = 60.0
    slowest_rate: float = 16_000.0
    quota_bytes: int = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """Which hosts may be asked. ``hosts`` empty means any, ``denied`` goes before it; ``allow_private`` admits loopback
    and private addresses. ``buckets`` are those that s3://, gs:// and az:// links may lead to, as ``s3://name``.

    Link-local, multicast and metadata addresses stay refused whatever is allowed.
    """

    allow_private: bool = False
    hosts: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    buckets: frozenset[str] = frozenset()
