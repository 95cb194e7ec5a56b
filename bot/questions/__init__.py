"""Questions about the past, in plain words."""

from bot.questions.answers import EXAMPLES, Answer, Row, ask, help_answer

__all__ = ["EXAMPLES", "Answer", "Row", "ask", "help_answer"]
