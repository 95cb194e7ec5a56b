"""The machine's name comes from what most of its programs were given, and from nothing that merely looks like it."""

import pytest

from analysis.address import VirtAddr
from analysis.kernel.computer_name import MAX_ENVIRONMENT, computer_name
from analysis.kernel.facts import Process
from tests.kernel.invented import Bytes, Names, layout

NAMES = Names({"_EPROCESS": layout("_EPROCESS", 0x20, Peb=8)})
PEB, PARAMETERS, ENVIRONMENT = 0x7FF0_0000_0000, 0x1F4_0000_0000, 0x1F4_0000_2F00


class Machine:
    """Programs with an environment each; ``cut`` is how many bytes of it were saved."""

    def __init__(self, *environments: str | None, cut: int | None = None) -> None:
        self.kernel = Bytes()
        self.programs: dict[int, Bytes] = {}
        self.processes: list[Process] = []
        for number, text in enumerate(environments, 1):
            at, table = 0xFFFF_A000_0000_0000 + number * 0x1000, number * 0x1000
            self.processes.append(Process(VirtAddr(at), number, f"p{number}.exe", directory_table=table))
            self.kernel.put_u64(at + 8, PEB if text is not None else 0)
            program = self.programs[table] = Bytes()
            program.put_u64(PEB + 0x20, PARAMETERS)
            program.put_u64(PARAMETERS + 0x80, ENVIRONMENT)
            program.put(ENVIRONMENT, (text or "").encode("utf-16-le")[:cut])

    @property
    def name(self) -> str | None:
        return computer_name(self.kernel, NAMES, self.programs.__getitem__, self.processes)


def block(name: str, more: str = "") -> str:
    return f"ALLUSERSPROFILE=C:\\ProgramData\0{more}ComputerName={name}\0Path=C:\\Windows\0\0"


def test_most_programs_are_believed() -> None:
    assert Machine(None, block("LIAR"), block("PC-7"), block("PC-7")).name == "PC-7"


def test_a_long_environment_is_read_over_its_pages() -> None:
    assert Machine(block("PC-7", "A=" + "x" * 5000 + "\0")).name == "PC-7"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\0",
        "A=1\0\0COMPUTERNAME=BEHIND-THE-END\0\0",
        "XCOMPUTERNAME=PC-7\0\0",
        block("a name with spaces"),
        block("<!channel>"),
        block("TOO-LONG-FOR-NETBIOS"),
        "A=" + "x" * MAX_ENVIRONMENT + "\0COMPUTERNAME=PC-7\0\0",
    ],
)
def test_what_is_no_name_is_none(text: str) -> None:
    assert Machine(text).name is None


def test_what_was_not_saved_is_not_guessed() -> None:
    whole = block("PC-7")
    cut = len(whole.partition("PC-7")[0].encode("utf-16-le")) + 4
    assert Machine(whole, cut=cut).name is None
    assert Machine(whole, block("PC-7"), cut=0).name is None
    assert Machine().name is None
