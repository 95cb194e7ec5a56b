"""A path to an open dump."""

from pathlib import Path

from analysis.formats.bitmap import read_bitmap
from analysis.formats.full import read_runs
from analysis.formats.header import TYPE_FULL, TYPE_TRIAGE, capture_hint, read_header
from analysis.formats.image import MACHINE_ARM64, DumpImage
from analysis.formats.raw import RawFile
from analysis.formats.sniff import sniff
from analysis.formats.triage import read_triage


def open_dump(path: Path) -> DumpImage:
    """The dump at ``path``. A sound header with little behind it still opens: ``truncated`` and ``notes`` say so.

    Raises:
        NotADump: the file is something else; ``what`` names it.
        BadDump: its header contradicts itself.
        OSError: the file cannot be opened.
    """
    raw = RawFile(path)
    try:
        return _open(raw)
    except BaseException:
        raw.close()
        raise


def _open(raw: RawFile) -> DumpImage:
    header = read_header(raw, sniff(raw))
    hint = capture_hint(header)
    capture = () if hint is None else (f"this looks like a capture of a running machine: {hint}",)
    if header.type_code == TYPE_TRIAGE:
        triage, truncated, notes = read_triage(raw, header)
        return DumpImage(raw, header, None, triage, truncated, (*capture, *notes))
    pages, truncated, notes = read_runs(raw) if header.type_code == TYPE_FULL else read_bitmap(raw)
    if header.machine == MACHINE_ARM64:
        notes = (*notes, "page tables of ARM64 are not supported yet: only the header of this dump was read")
    return DumpImage(raw, header, pages, None, truncated, (*capture, *notes))
