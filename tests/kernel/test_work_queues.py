"""Work queues whose workers are all stuck, and those that have one left."""

from dataclasses import replace

from analysis.address import VirtAddr
from analysis.kernel.facts import Lock, Module, Thread, WaitObject
from analysis.kernel.work_queues import read_work_queues
from tests.kernel.invented import Bytes, Names

QUEUE, STACK = 0xFFFF_A000_0000_1000, 0xFFFF_B000_0000_0000
ROUTINE = 0xFFFF_F800_3000_0040
DRIVER = Module("probe.sys", VirtAddr(0xFFFF_F800_3000_0000), 0x8000)


def module_at(address: int) -> Module | None:
    return DRIVER if DRIVER.base <= address < DRIVER.end else None


def worker(number: int, state: str = "Waiting", reason: str | None = "WrResource") -> Thread:
    address = VirtAddr(0x1000 * number)
    return Thread(address, VirtAddr(1), "System", 4, number, state, reason, queue=VirtAddr(QUEUE), is_worker=True)


def client() -> Thread:
    waited = WaitObject(VirtAddr(STACK + 0x240), "event", VirtAddr(0x99))
    return Thread(
        VirtAddr(0x9000), VirtAddr(1), "explorer.exe", 8, 9, "Waiting", "Executive", waits=(waited,),
        stack_limit=VirtAddr(STACK), stack_base=VirtAddr(STACK + 0x1000),
    )  # fmt: skip


def machine(*items: int, kind: int = 21) -> Bytes:
    memory = Bytes()
    memory.put(QUEUE, bytes([kind]) + bytes(7))
    memory.link(QUEUE + 8)
    for number in range(32):
        memory.link(QUEUE + 0x18 + 0x10 * number, *(items if number == (12 if kind == 21 else 0) else ()))
    for item in items:
        memory.put_u64(item + 0x10, ROUTINE, 0)
    return memory


def read(memory: Bytes, *threads: Thread) -> tuple[list[Lock], list[str]]:
    return read_work_queues(memory, Names({}), {one.address: one for one in threads}, module_at)


def test_all_workers_stuck_own_the_queue_together() -> None:
    (lock,), (note,) = read(machine(STACK + 0x220), worker(1), worker(2, reason="Executive"), client())
    assert [held.thread for held in lock.owners] == [0x1000, 0x2000]
    assert [held.thread for held in lock.waiters] == [0x9000]
    assert lock.any_owner
    assert "all 2 workers of which are stuck" in lock.description
    assert note.endswith("all 2 workers wait for something else than work; 1 queued item waits for one of them "
                         "(1 of probe.sys)")  # fmt: skip


def test_a_queue_of_windows_7_has_one_list() -> None:
    (lock,), _ = read(machine(STACK + 0x220, kind=4), worker(1), client())
    assert [held.thread for held in lock.waiters] == [0x9000]


def test_an_item_whose_parameter_lies_on_the_stack_counts_too() -> None:
    pool = 0xFFFF_A000_0000_8000
    memory = machine(pool)
    memory.put_u64(pool + 0x18, STACK + 0x230)
    assert read(memory, worker(1), client())[0][0].waiters[0].thread == 0x9000


def test_an_item_elsewhere_keeps_nobody_waiting() -> None:
    (lock,), _ = read(machine(0xFFFF_A000_0000_8000), worker(1), client())
    assert lock.waiters == ()


def test_one_worker_that_idles_or_runs_is_enough() -> None:
    for free in (worker(2, reason="WrQueue"), worker(2, "Running", None), worker(2, "Ready", None)):
        assert read(machine(STACK + 0x220), worker(1), free, client()) == ([], [])


def test_ended_workers_and_other_threads_with_a_queue_do_not_count() -> None:
    ended = replace(worker(3), terminated=True, state="Terminated")
    port = replace(worker(4), is_worker=False)
    (lock,), _ = read(machine(), worker(1), ended, port)
    assert [held.thread for held in lock.owners] == [0x1000]
    assert "whose only worker is stuck" in lock.description


def test_a_queue_that_was_not_saved_is_told_without_its_items() -> None:
    (lock,), (note,) = read(Bytes(), worker(1), client())
    assert lock.waiters == ()
    assert "queued" not in note


def test_a_torn_list_gives_the_items_on_both_sides() -> None:
    memory = machine(STACK + 0x220, STACK + 0x420)
    memory.lose(STACK + 0x420, 8)
    assert "1 queued item" in read(memory, worker(1))[1][0]
