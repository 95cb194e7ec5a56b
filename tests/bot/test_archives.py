"""Archives in Slack: every dump answered in the thread, a summary on top, passwords asked for."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.verdict.report import Report
from bot import acts
from bot.fetch.download import Fetched
from bot.sandbox import StandIn
from storage.database import open_database
from tests.archives import build
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, mishaps, replies, shown, until
from tests.bot.server import page, serving

# What the pretended analysis takes for dumps begins as one, so that the unpacking takes it too.
MINI = {f"Mini{n}.dmp": b"MDMP" + dump(name, n) for n, name in enumerate(("seed", "seed", "deadlock"))}


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


async def test_each_dump_of_an_archive_is_answered_and_summarised_at_the_top(slack: StandIn, tmp_path: Path) -> None:
    data = build.zipped(MINI | {"broken.dmp": b"MDMP nothing", "readme.txt": b"hello"})
    async with serving(**{"a.zip": page(data)}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.zip"))
        await until(lambda: sum(f.name.endswith(".json") for m in replies(slack, said) for f in m.files) == 2)
    first, *others = replies(slack, said)
    assert first.text.startswith("4 dumps, 2 different problems: ")
    assert "2 dumps: Mini0.dmp, Mini1.dmp" in shown(first)
    assert "broken.dmp" in shown(first)
    told = [shown(message).split("\n")[0] for message in others if message.text.startswith("Mini")]
    assert told == ["`Mini0.dmp`", "`Mini1.dmp`", "`Mini2.dmp`"]
    assert list(said.reactions) == ["x"]  # one could not be read


class Fickle(Analyst):
    """Blames nobody for a dump that it read before, and says each time how often that was."""

    async def __call__(self, fetched: Fetched, *given: Any) -> Report:
        report = await super().__call__(fetched, *given)
        seen = self.times[fetched.identity] = self.times.get(fetched.identity, 0) + 1
        summary = f"Nobody is to blame, {seen}."
        changed = replace(report.verdict, summary=summary, culprit=None, confidence="none", reasons=("none",))
        return report if seen == 1 else replace(report, verdict=changed)

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, int] = {}


async def test_one_dump_of_an_archive_is_analysed_again_and_what_is_told_of_it_edited(
    slack: StandIn, tmp_path: Path
) -> None:
    def files_of(name: str) -> list[str]:
        return [f.name for m in replies(slack, said) for f in m.files if f.name.endswith(name)]

    def reports() -> int:
        return len(files_of(".json"))

    analyst = Fickle()
    data = build.zipped(MINI | {"broken.dmp": b"MDMP nothing"})
    async with serving(**{"a.zip": page(data)}) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.zip"))
        await until(lambda: reports() == 2)
        top, *others = replies(slack, said)
        deadlock = next(message for message in others if message.text.startswith("Mini2.dmp"))
        evidence = [message for message in others if shown(message).startswith("*Evidence*")]
        slack.press(CRASHES, deadlock.ts, acts.AGAIN, ANNA)
        await until(lambda: "Nobody is to blame, 2." in shown(deadlock))
        await until(lambda: "Edited: analyzed again" in shown(deadlock))
        assert shown(deadlock).startswith("`Mini2.dmp`")
        await until(lambda: "Nobody is to blame, 2." in shown(top))
        assert "2 dumps: Mini0.dmp, Mini1.dmp" in shown(top)
        assert "broken.dmp" in shown(top)
        await until(lambda: reports() == 3)
        assert [shown(message).count("none") for message in evidence] == [0, 1]
        assert sum(analyst.times.values()) == 4  # that one alone

        first = next(message for message in others if message.text.startswith("Mini0.dmp"))
        slack.press(CRASHES, deadlock.ts, acts.AGAIN, ANNA)
        slack.press(CRASHES, first.ts, acts.AGAIN, ANNA)  # while the other is under way
        await until(lambda: "Nobody is to blame, 3." in shown(deadlock))
        await until(lambda: "Nobody is to blame, 2." in shown(first))
        await until(lambda: reports() == 5)  # each edition has its file
        assert len(set(files_of(".json"))) == 5

        files.routes["/a.zip"] = page(build.zipped({"Mini0.dmp": MINI["Mini0.dmp"]}))
        slack.press(CRASHES, deadlock.ts, acts.AGAIN, ANNA)
        await until(lambda: "its link leads to another file now" in shown(deadlock))
        assert "Nobody is to blame, 3." in shown(deadlock)
    assert mishaps(slack) == []


async def test_an_archive_with_one_dump_is_told_like_the_dump(slack: StandIn, tmp_path: Path) -> None:
    data = build.tarred({"x.dmp": MINI["Mini0.dmp"]}, build.PACKERS["gz"])
    async with serving(**{"a.tar.gz": page(data)}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.tar.gz"))
        await until(lambda: is_done(slack, said))
    assert replies(slack, said)[0].text.startswith("rassstp.sys holds")
    assert list(said.reactions) == ["white_check_mark"]


async def test_a_password_is_asked_for_in_the_thread_and_never_kept(slack: StandIn, tmp_path: Path) -> None:
    data = build.locked_zip({"x.dmp": MINI["Mini0.dmp"]}, "Tr0ub4dor&3")
    async with serving(**{"a.zip": page(data)}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.zip"))
        await until(lambda: any("has a password" in shown(reply) for reply in replies(slack, said)))
        slack.workspace.say(CRASHES, ANNA, "password: wrong", said.ts)
        await until(lambda: any("does not open it either" in shown(reply) for reply in replies(slack, said)))
        slack.workspace.say(CRASHES, ANNA, "password: `Tr0ub4dor&amp;3`", said.ts)
        await until(lambda: is_told(slack, said))
        with closing(open_database(tmp_path / "pileup.sqlite")) as database:
            await until(lambda: {row["state"] for row in database.rows("SELECT state FROM jobs")} == {"done"})
        assert "rassstp.sys holds" in shown(replies(slack, said)[0])
    assert b"Tr0ub4dor" not in (tmp_path / "pileup.sqlite").read_bytes()


async def test_talk_of_passwords_where_none_was_asked_for_is_left_alone(slack: StandIn, tmp_path: Path) -> None:
    async with bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, "who can log in?")
        slack.workspace.say(CRASHES, ANNA, "password: hunter2", said.ts)
        other = slack.workspace.say(CRASHES, ANNA, "<@U0PILEUP01> help")
        await until(lambda: replies(slack, other))
    assert replies(slack, said) == []


async def test_a_bomb_and_an_archive_without_dumps_get_one_line(slack: StandIn, tmp_path: Path) -> None:
    routes = {
        "bomb.zip": page(build.zipped({"x.dmp": b"PAGEDU64" + bytes(9_000_000)})),
        "none.zip": page(build.zipped({"<!channel>.exe": b"MZ"})),
    }
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), max_unpacked="1MB"):
        said = [slack.workspace.say(CRASHES, ANNA, files.url(f"/{name}")) for name in routes]
        for parent in said:
            await until(lambda parent=parent: is_done(slack, parent))  # type: ignore[misc]  # bound at once
    bomb, none = ([reply.text for reply in replies(slack, parent)] for parent in said)
    assert bomb == ["I could not open this archive: it unpacks to more than 1,000,000 bytes."]
    assert none == ["I could not open this archive: there is no dump in it, only &lt;!channel&gt;.exe."]
