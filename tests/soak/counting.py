"""What came of the dumps, counted from the messages that stand in the channels."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from bot.sandbox import Message, StandIn
from tests.bot.kit import shown

FINAL = re.compile(r"Confidence:|The same failure again:")
KINDS = ("summary", "summary-again")


@dataclass(frozen=True, slots=True)
class Posted:
    """A dump's link as somebody posted it, and what every right answer says."""

    channel: str
    message: Message
    says: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many dumps were answered how. ``doubled`` counts messages and files that stand in a thread twice,
    ``elsewhere`` messages outside the threads, ``unmarked`` messages without the one final reaction."""

    once: int
    never: int
    twice: int
    wrong: int
    unfinished: int
    unmarked: int
    doubled: int
    elsewhere: int

    @property
    def faults(self) -> dict[str, int]:
        """Everything that is not as it should be."""
        counted = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "once"}
        return {name: number for name, number in counted.items() if number}


def is_final(message: Message) -> bool:
    """Whether a verdict stands there: in full, or in short where the same failure was told before."""
    return part_of(message) in KINDS and FINAL.search(shown(message)) is not None


def part_of(message: Message) -> str:
    """Which part of its thread's story a message of ours is; empty for others."""
    key = _key(message)
    return key.partition(":")[2] if key else ""


def counted(slack: StandIn, posted: Sequence[Posted]) -> Counts:
    """The counts."""
    once = never = twice = wrong = unfinished = unmarked = 0
    bot = slack.workspace.bot.id
    threads = {(dump.channel, dump.message.ts): list[Message]() for dump in posted}
    elsewhere = 0
    for channel in slack.workspace.channels.values():
        for message in channel.messages.values():
            if message.user == bot:
                thread = threads.get((channel.id, message.thread_ts or ""))
                if thread is None:
                    elsewhere += 1
                else:
                    thread.append(message)
    for dump in posted:
        answers = [m for m in threads[dump.channel, dump.message.ts] if part_of(m) in KINDS]
        unmarked += list(dump.message.reactions) != ["white_check_mark"]
        if len(answers) != 1:
            never, twice = never + (not answers), twice + bool(answers)
        elif not is_final(answers[0]):
            unfinished += 1
        elif dump.says not in answers[0].text:
            wrong += 1
        else:
            once += 1
    doubled = sum(_extra(_marks(thread)) for thread in threads.values())
    return Counts(once, never, twice, wrong, unfinished, unmarked, doubled, elsewhere)


def _key(message: Message) -> str:
    return str(message.metadata["event_payload"]["key"]) if message.metadata else ""


def _marks(thread: list[Message]) -> Iterator[str]:
    for message in thread:
        yield from [file.name for file in message.files] or [_key(message) or message.text]


def _extra(marks: Iterator[str]) -> int:
    return sum(number - 1 for number in Counter(marks).values())
