"""What a report on a text of WinDbg holds beside its story: the machine, the threads, and WinDbg's own verdict."""

import re
from collections.abc import Sequence
from dataclasses import replace

from analysis.bugchecks.status import describe_status
from analysis.kernel.printed import PrintedScene
from analysis.kernel.printed.scene import MAJOR, UNNAMED, build_of
from analysis.symbols.windows import os_name
from analysis.verdict import report
from analysis.verdict.bucket import failure_id_hash
from analysis.verdict.modules import stem
from analysis.verdict.printed import NO_MODULES, TAKEN_OVER, theirs_of
from analysis.verdict.report import hexa
from analysis.verdict.system import timestamp

NOT_LISTED = "is on no process' list of threads"


def exception_facts(scene: PrintedScene) -> report.ExceptionFacts | None:
    """The report's ``exception``, for a program's crash."""
    exception = scene.text.exception
    if exception is None or not scene.text.user_mode:
        return None
    told = describe_status(exception.code)
    name = told.partition(":")[0] if told else None
    return report.ExceptionFacts(hexa(exception.code), name, hexa(exception.address))


def system_facts(scene: PrintedScene) -> report.System:
    """The report's ``system``: only what the text says."""
    fields, banner, build = scene.text.fields, scene.text.banner, build_of(scene.text)
    major = MAJOR.search(build or "")
    count = re.match(r"[0-9a-f]{1,4}$", fields.get("CPU_COUNT", ""))
    made = [fields[name] for name in ("SYSTEM_MANUFACTURER", "SYSTEM_PRODUCT_NAME") if fields.get(name)]
    return report.System(
        # OSNAME is the debugger's: it says "Windows 10" of Windows 11, too.
        os=(os_name(int(major[0]), None) if major else None) or fields.get("OSNAME") or None,
        build=build,
        architecture=scene.text.architecture,
        processors=int(count[0], 16) if count else banner.processors,
        crash_time=_time(fields.get("TARGET_TIME", ""))
        or (timestamp(banner.crash_time) if banner.crash_time else None),
        uptime_seconds=banner.uptime,
        hardware=" ".join(made) or None,
    )


def _time(text: str) -> str | None:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z", text)
    return f"{found[1]}Z" if found else None


def windbg_verdict(scene: PrintedScene, ours: report.Verdict) -> report.WindbgVerdict:
    """WinDbg's own verdict, and whether ours is the same."""
    fields, keys = scene.text.fields, scene.text.keys
    bucket = fields.get("FAILURE_BUCKET_ID") or keys.get("Failure.Bucket") or fields.get("BUCKET_ID") or None
    printed = re.search(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", fields.get("FAILURE_ID_HASH", ""))
    printed = printed or re.search(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", keys.get("Failure.Hash", ""))
    fits = None
    if bucket and printed:
        mode = "um" if scene.text.user_mode else "km"
        fits = failure_id_hash(bucket, mode) == printed[0].lower()
    return report.WindbgVerdict(
        module_name=fields.get("MODULE_NAME") or None,
        image_name=fields.get("IMAGE_NAME") or scene.text.blamed_by_loader,
        symbol_name=fields.get("SYMBOL_NAME") or None,
        failure_bucket_id=bucket,
        failure_id_hash=printed[0].lower() if printed else None,
        bugcheck_str=fields.get("BUGCHECK_STR") or None,
        process_name=fields.get("PROCESS_NAME") or None,
        agrees=None if is_taken_over(ours) else _agrees(scene, ours.culprit),
        hash_fits=fits,
    )


def is_taken_over(ours: report.Verdict) -> bool:
    """Whether the verdict is WinDbg's own, for want of any evidence in the text."""
    return any(reason.startswith(TAKEN_OVER) for reason in ours.reasons)


def _agrees(scene: PrintedScene, ours: report.Culprit | None) -> bool | None:
    theirs = theirs_of(scene)
    if theirs is None or ours is None:
        return None
    if theirs.lower() in NO_MODULES:
        return ours.kind in ("hardware", "memory")
    return ours.module is not None and stem(scene.images.image(theirs)) == stem(ours.module)


def beside(theirs: report.WindbgVerdict, ours: report.Verdict) -> tuple[str, ...]:
    """WinDbg's verdict as a note, for those who read the report as text."""
    name = theirs.module_name or theirs.image_name
    said = [f"module {name}"] if name else []
    said += [f"bucket {theirs.failure_bucket_id}"] if theirs.failure_bucket_id else []
    if not said:
        return ()
    who = (ours.culprit.module or ours.culprit.kind) if ours.culprit else "nobody"
    how = "the same module" if theirs.agrees else f"this report blames {who}, for the reasons given"
    return (f"WinDbg's own verdict: {', '.join(said)} ({'taken over here' if is_taken_over(ours) else how})",)


def thread_facts(scene: PrintedScene, threads: Sequence[report.ThreadFacts]) -> tuple[report.ThreadFacts, ...]:
    """The report's ``threads``: the stop's own has the process that the analysis names, and no stack appears twice."""
    told: list[report.ThreadFacts] = []
    for one in threads:
        if one.address == hexa(UNNAMED) and any(other.stack == one.stack for other in told):
            continue
        is_stop = scene.crashing is not None and one.address == hexa(scene.crashing)
        process = one.process or (scene.text.fields.get("PROCESS_NAME") if is_stop else None)
        told.append(replace(one, process=process or None, state=one.state or None))
    return tuple(told)


def notes(told: Sequence[str]) -> tuple[str, ...]:
    """The report's ``notes``, without that a text shows few threads: that goes without saying."""
    return tuple(note for note in told if NOT_LISTED not in note)
