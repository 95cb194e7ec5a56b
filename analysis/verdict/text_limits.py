"""What a debugger's text cannot tell, whatever stands in it."""

from analysis.kernel.printed import PrintedScene

ONLY_A_TEXT = (
    "This report rests on what a debugger printed: nothing of it can be checked, and what was not printed (other "
    "threads, locks, devices) is not known. The dump itself would tell more."
)


def text_limits(scene: PrintedScene) -> tuple[str, ...]:
    """Sentences for the report's ``cannot_tell``."""
    text = scene.text
    told = [ONLY_A_TEXT]
    if not text.locks:
        told.append("The text holds no !locks: who waited for whom is not told.")
    if text.stack is None:
        told.append("The text shows no stack.")
    elif not text.stack.complete:
        told.append("The stack stands at the text's end: it may go on.")
    return tuple(told)
