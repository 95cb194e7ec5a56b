"""Questions about the past, in plain words."""

from bot.questions.answers import EXAMPLES, Matched, ask, exported, help_answer, match
from bot.questions.parts import Answer, Row

__all__ = ["EXAMPLES", "Answer", "Matched", "Row", "ask", "exported", "help_answer", "match"]
