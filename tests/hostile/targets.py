"""The table of fuzz targets."""

from analysis.errors import AnalysisError
from bot.archives.limits import ArchiveFailed
from tests.hostile import archives, dumps, stores, symbols, texts, unwinding
from tests.hostile.target import Fault, Target

_HEADER = ((0, 0x100), (0xF00, 0xFB0), (0x1030, 0x1050))
_ISF = (
    b"null", b"[]", b"{}", b"-1", b"1e999", b'"x"', b"true", b"4294967296", b'"offset"', b'"pointer"', b'"_A"'
)  # fmt: skip
_WINDBG = (
    b"Arg1:", b"STACK_TEXT:", b"THREAD", b"Resource", b"Exclusively owned", b"fffff800`00000000", b"0: kd> lm",
    b"(Inline Function)", b"!irp", b"WAIT:", b"\n\n", b"Unloaded modules:"
)  # fmt: skip

TARGETS = (
    Target(
        "header",
        dumps.check_dump,
        dumps.headers,
        ("analysis.formats.sniff", "analysis.formats.header", "analysis.formats.header32", "analysis.formats.raw"),
        Fault(
            "analysis/formats/header.py", "used = number if number <= _MAX_EXCEPTION_PARAMETERS else 0", "used = number"
        ),
        hot=_HEADER,
    ),
    Target(
        "triage",
        dumps.check_dump,
        dumps.small_dumps,
        (
            "analysis.formats.triage",
            "analysis.formats.triage32",
            "analysis.formats.self_address",
            "analysis.memory.blocks",
        ),
        Fault(
            "analysis/formats/triage.py",
            "usable = raw.available(claimed.offset, min(",
            "usable = min(claimed.size, min(",
        ),
        hot=((0x2000, 0x2080), (0x1000, 0x1068), (0x2080, 0x3000), (0, 0x40)),
    ),
    Target(
        "pages",
        dumps.check_dump,
        dumps.page_dumps,
        ("analysis.formats.bitmap", "analysis.formats.full", "analysis.formats.ranges", "analysis.memory.physical"),
        Fault(
            "analysis/formats/full.py", "here = raw.available(position, count * PAGE_SIZE) // PAGE_SIZE", "here = count"
        ),
        hot=((0x2000, 0x2060), (0x80, 0xC0), (0xF98, 0xF9C), (0x1000, 0x1040)),
    ),
    Target(
        "walk",
        dumps.check_walk,
        dumps.tables,
        ("analysis.memory.x64", "analysis.memory.x86", "analysis.memory.physical", "analysis.memory.reader"),
        Fault(
            "analysis/memory/x64.py", "if offset is not None and within + size <= PAGE_SIZE:", "if offset is not None:"
        ),
    ),
    Target(
        "minidump",
        dumps.check_minidump,
        dumps.minidumps,
        ("analysis.formats.minidump", "analysis.usermode"),
        Fault(
            "analysis/formats/minidump/lists.py", "held = raw.available(stack.offset, stack.size)", "held = stack.size"
        ),
        hot=((0, 0x20),),
    ),
    Target(
        "pdb",
        symbols.check_pdb,
        symbols.pdb_files,
        ("analysis.symbols.pdb",),
        Fault("analysis/symbols/pdb/msf.py", "if 4 + 4 * count > len(directory):", "if False:"),
    ),
    Target(
        "pe",
        symbols.check_image,
        symbols.images,
        ("analysis.symbols.pe", "analysis.symbols.exports", "analysis.symbols.version", "analysis.symbols.image_file"),
        Fault("analysis/symbols/pe.py", "if at + 40 > len(header):", "if False:"),
        hot=((0x3C, 0x40), (0xE8, 0x120), (0x120, 0x220), (0x2000, 0x2080), (0x6000, 0x6100), (0x8000, 0x8140)),
    ),
    Target(
        "unwind",
        unwinding.check_unwind,
        unwinding.code_images,
        (
            "analysis.kernel.unwind",
            "analysis.kernel.unwind_codes",
            "analysis.kernel.unwind_arm64",
            "analysis.kernel.arm64_codes",
            "analysis.kernel.arm64_records",
            "analysis.kernel.images",
        ),
        Fault(
            "analysis/kernel/unwind.py",
            "        except KeyError:\n            raise UnknownRegister(number) from None",
            "        finally:\n            pass",
        ),
        hot=((0x400, 0x424), (0x500, 0x580), (0x600, 0x640), (0x700, 0x720)),
    ),
    Target(
        "windbg",
        texts.check_text,
        texts.texts,
        ("analysis.formats.windbg", "analysis.kernel.printed"),
        Fault("analysis/formats/windbg/modules.py", "if not start < end or end - start > 1 << 31:", "if False:"),
        words=_WINDBG,
    ),
    Target(
        "isf",
        symbols.check_isf,
        symbols.isf_documents,
        ("analysis.symbols.isf",),
        Fault(
            "analysis/symbols/isf.py",
            'if not isinstance(described, dict) or not _is_count(described.get("offset")):',
            'if not _is_count(described.get("offset")):',
        ),
        words=_ISF,
    ),
    Target(
        "store",
        stores.check_store,
        stores.store_files,
        ("bot.symbols", "analysis.symbols.search", "analysis.symbols.pdb.kept"),
        Fault("bot/symbols/notes.py", "return known if isinstance(known, dict) else {}", "return known"),
        words=_ISF,
        allowed=(AnalysisError, OSError),
    ),
    Target(
        "archives",
        archives.check_archive,
        archives.archives,
        ("bot.archives",),
        Fault(
            "bot/archives/collector.py",
            "elif len(self._collector.dumps) >= self._collector.limits.max_dumps:",
            "elif False:",
        ),
        allowed=(ArchiveFailed,),
    ),
)


def target_named(name: str) -> Target:
    """The target of that name. Raises: KeyError."""
    return {target.name: target for target in TARGETS}[name]
