"""Stacks of the crash page: each once with its threads, all of each, and the search among them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.verdict.report import BlockedThread, Blocking, Given, Report, StackFrame, StackGroup, ThreadFacts
from bot.web.crash import crash_file
from bot.web.guard import Access, Rates
from bot.web.stacks import search, stacks_of
from storage import Store
from tests.bot.web.documents import HOSTILE, Document, parsed
from tests.bot.web.sites import browser
from tests.storage.samples import Clock, report


def frames(*symbols: str) -> tuple[StackFrame, ...]:
    return tuple(
        StackFrame(f"{0x1000 + n:#x}", one, f"{one.partition('!')[0]}.sys", "unwind") for n, one in enumerate(symbols)
    )


WAIT = frames("nt!KiSwapContext+0x76", "nt!KeWaitForSingleObject+0x1", "ndis!NdisUnbind+0x10")
WORK = frames("nt!KiSwapContext+0x76", "nt!ExpWorkerThread+0x1")
PROGRAM = frames("ntdll!NtWaitForSingleObject+0x14", "probe!main+0x20")
THREADS = (
    ThreadFacts("0xa1", "System", 4, 16, "Waiting", "nt!ExpWorkerThread", WAIT, "the stack ends here",
                given=(Given(2, "the adapter 0xfff1", "unwind"),)),
    ThreadFacts("0xa2", "svchost.exe", 700, 704, stack=WAIT, stack_end="the stack ends here"),
    ThreadFacts("0xb1", "probe.exe", 900, 904, stack=WORK, user_stack=PROGRAM, user_stack_end="its main ends here"),
    ThreadFacts("0xc1", "lonely.exe", 1, 2),
    ThreadFacts("0xc2", "lonely.exe", 1, 3),
)  # fmt: skip
GROUP = StackGroup(70, 1, ("0xb1", "0xb2"), ("probe.exe", "svchost.exe"), "nt!ExpWorkerThread", "unwind", WORK)
OTHER = StackGroup(3, 0, ("0xd1",), ("rpc.exe",), "ntfs!NtfsFlush", "unwind", frames("ntfs!NtfsFlush+0x1"))


def made() -> Report:
    blocked = (BlockedThread("0xa2", "svchost.exe", 700, 704, None), BlockedThread("0xb2", "svchost.exe", 8, 9, None))
    blocking = Blocking(blocked_threads=blocked)
    return replace(report("one"), threads=THREADS, stack_groups=(GROUP, OTHER), blocking=blocking)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "pileup.sqlite", Clock()) as opened:
        opened.remember(made())
        yield opened


async def asked(store: Store, words: str) -> Document:
    async with browser(store, Access(), rates=Rates(burst=1e9)) as client:
        answer = await client.get("/crashes/1", params={"stack": words})
    assert answer.status_code == 200
    return parsed(answer.text)


def opened(page: Document) -> dict[str, bool]:
    """Which of the places of stacks are open: their details stand right before."""
    found, is_open = {}, False
    for tag, attributes in page.elements:
        if tag == "details":
            is_open = "open" in attributes
        if tag == "div" and attributes.get("class") == "place":
            found[str(attributes["id"])] = is_open
    return found


def test_a_stack_stands_once_with_every_thread_that_has_it() -> None:
    found = stacks_of(made())
    assert [(stack.count, stack.blocked, [one.address for one in stack.threads]) for stack in found] == [
        (2, 1, ["0xa1", "0xa2"]),
        (70, 1, ["0xb1", "0xb2"]),
        (1, 0, ["0xc1"]),
        (1, 0, ["0xc2"]),
        (3, 0, ["0xd1"]),
    ]
    assert [stack.place for stack in found] == ["s1", "s2", "s3", "s4", "s5"]


def test_what_is_known_of_a_thread_is_there_wherever_its_stack_stands() -> None:
    said = parsed(crash_file(made())).text
    assert "2 threads with the same stack , 1 of them blocked (System, svchost.exe)" in said
    assert "ndis!NdisUnbind+0x10 (the adapter 0xfff1)" in said
    assert "70 threads with the same stack , 1 of them blocked (probe.exe, svchost.exe)" in said
    assert "In the program, of 0xb1 :" in said
    assert "probe!main+0x20" in said
    assert "its main ends here" in said
    assert said.count("ndis!NdisUnbind") == 1
    assert "and 68 more" in said


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ("ndis", ["s1"]),
        ("NDISUNBIND", ["s1"]),
        ("probe!main", ["s2"]),
        ("kiswapcontext svchost", ["s1", "s2"]),
        ("ndis probe.exe", []),
        ("704", ["s1"]),
        ("70", []),
        ("0xd1", ["s5"]),
        ("lonely", ["s3", "s4"]),
        ("nothing", []),
        ("", ["s1", "s2", "s3", "s4", "s5"]),
        ("  ", ["s1", "s2", "s3", "s4", "s5"]),
    ],
)
def test_stacks_with_every_word_are_found(words: str, places: list[str]) -> None:
    stacks = stacks_of(made())
    found = search(stacks, words)
    assert [stack.place for stack in found.stacks] == places
    assert {stack.place for stack in (*found.stacks, *found.others)} == {stack.place for stack in stacks}


async def test_a_search_opens_what_it_found_and_leaves_the_rest_within_reach(store: Store) -> None:
    page = await asked(store, "ndis")
    assert "1 of 5 stacks, of 2 threads, has “ndis”. All stacks" in page.text
    assert opened(page) == {"s1": True, "s2": False, "s3": False, "s4": False, "s5": False}
    assert "4 other stacks" in page.text
    marked = [page.elements[n + 1] for n, (tag, _) in enumerate(page.elements) if tag == "mark"]
    assert [tag for tag, _ in marked] == ["code"]
    (field,) = [a for tag, a in page.elements if tag == "input" and a.get("name") == "stack"]
    assert field["value"] == "ndis"
    targets = {target.removeprefix("#") for target in page.values("href") if target.startswith("#")}
    assert targets <= set(page.values("id"))


async def test_without_words_all_stacks_are_there(store: Store) -> None:
    page = await asked(store, "")
    assert all(opened(page).values())
    assert "other stack" not in page.text
    assert "mark" not in {tag for tag, _ in page.elements}


async def test_what_is_in_no_stack_is_said(store: Store) -> None:
    page = await asked(store, "zzz")
    assert "No stack has “zzz”." in page.text
    assert not any(opened(page).values())


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_words_that_are_searched_for_are_never_more_than_text(store: Store, hostile: str) -> None:
    page = await asked(store, hostile.encode("utf-8", "replace").decode())
    plain = await asked(store, "zzz")
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]


def test_a_file_has_no_form_that_nobody_would_answer() -> None:
    assert "form" not in {tag for tag, _ in parsed(crash_file(made())).elements}
