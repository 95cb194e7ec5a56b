"""Questions about the past, in plain words."""

from bot.questions.answers import EXAMPLES, Matched, ask, help_answer, match
from bot.questions.parts import Answer, Row

__all__ = ["EXAMPLES", "Answer", "Matched", "Row", "ask", "help_answer", "match"]
