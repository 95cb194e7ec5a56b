"""A path to an open dump."""

from pathlib import Path

from analysis.formats.bitmap import read_bitmap, read_summary
from analysis.formats.full import read_runs, read_runs32
from analysis.formats.header import HEADER_SIZE, TYPE_FULL, TYPE_SUMMARY, TYPE_TRIAGE, capture_hint, read_header
from analysis.formats.header32 import HEADER32_SIZE, read_header32
from analysis.formats.image import MACHINE_X86, DumpHeader, DumpImage, PageMap
from analysis.formats.ranges import TYPES_RANGES, read_ranges
from analysis.formats.raw import RawFile
from analysis.formats.remote import RemotePages
from analysis.formats.sniff import is_32_bit, sniff
from analysis.formats.triage import read_triage
from analysis.formats.triage32 import read_triage32


def open_dump(path: Path, remote: RemotePages | None = None) -> DumpImage:
    """The dump at ``path``, whose pages ``remote`` fills where they lie elsewhere.

    A sound header with little behind it still opens: ``truncated`` and ``notes`` say so.

    Raises:
        NotADump: the file is something else; ``what`` names it.
        BadDump: its header contradicts itself.
        OSError: the file cannot be opened.
    """
    raw = RawFile(path, remote)
    try:
        return _open(raw)
    except BaseException:
        raw.close()
        raise


def _open(raw: RawFile) -> DumpImage:
    kind = sniff(raw)
    header = read_header32(raw, kind) if is_32_bit(raw) else read_header(raw, kind)
    hint = capture_hint(header)
    capture = () if hint is None else (f"this looks like a capture of a running machine: {hint}",)
    if header.type_code == TYPE_TRIAGE:
        triage, truncated, notes = read_triage32(raw) if header.machine == MACHINE_X86 else read_triage(raw, header)
        return DumpImage(raw, header, None, triage, truncated, (*capture, *notes))
    pages, truncated, notes = _pages(raw, header)
    return DumpImage(raw, header, pages, None, truncated, (*capture, *notes))


def _pages(raw: RawFile, header: DumpHeader) -> tuple[PageMap | None, bool, tuple[str, ...]]:
    small = header.machine == MACHINE_X86
    size = HEADER32_SIZE if small else HEADER_SIZE
    if header.type_code == TYPE_FULL:
        return read_runs32(raw) if small else read_runs(raw)
    if header.type_code == TYPE_SUMMARY:
        return read_summary(raw, size)
    if header.type_code in TYPES_RANGES:
        return read_ranges(raw, header.type_code)
    return read_bitmap(raw, size)
