"""Which texts are WinDbg's, and which only talk about crashes."""

from pathlib import Path

import pytest

from analysis.errors import NotADump
from analysis.formats.windbg.sniff import is_windbg
from analysis.pipeline import analyze
from tests.windbg.texts import EXAMPLES


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_debugger_output_is_recognised(text: str) -> None:
    assert is_windbg(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Our server stopped with DRIVER_POWER_STATE_FAILURE (9f) last night.\n",
        "DRIVER_POWER_STATE_FAILURE (9f)\n",
        "HTTP_NOT_FOUND (404)\nPROCESS_NAME: nginx\n",
        "SOME_NAME: value\nMODULE_NAME: billing\nIMAGE_NAME: billing.png\n",
        "kd> is the prompt of the kernel debugger\n" * 50,
        "How do I read STACK_TEXT: lines?\n",
        '{"text": "DRIVER_POWER_STATE_FAILURE (9f)\\nSTACK_TEXT:\\n"}',
        "<html><body><pre>BugCheck 9F, {4, 12c, ffff, ffff}\nSTACK_TEXT:\n</pre></body></html>",
        "THREAD pool exhausted, Cid 12\n" * 20,
        "lorem ipsum " * 5000,
        "Exception in thread main java.lang.NullPointerException\n\tat com.example.Main.run(Main.java:10)\n",
    ],
)
def test_other_texts_are_not(text: str, tmp_path: Path) -> None:
    assert not is_windbg(text)
    path = tmp_path / "notes.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(NotADump):
        analyze(path)


def test_a_dump_is_never_taken_for_text(tmp_path: Path) -> None:
    path = tmp_path / "memory.dmp"
    path.write_bytes(b"PAGEDU64" + b"PAGE" * 0x7FE + EXAMPLES["old-fault"].encode())
    with pytest.raises(Exception, match=r"(?s)."):  # any refusal, but no report on the text
        analyze(path)
