"""Questions about the past, in plain words."""

from bot.questions.answers import EXAMPLES, ask, help_answer, matching
from bot.questions.parts import Answer, Row

__all__ = ["EXAMPLES", "Answer", "Row", "ask", "help_answer", "matching"]
