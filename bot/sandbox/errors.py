"""How Slack says no: an error word and, for wrong arguments, a line for each."""


class SlackError(Exception):
    """An answer ``{"ok": false, "error": word}``; ``messages`` go into its response_metadata."""

    def __init__(self, word: str, messages: tuple[str, ...] = ()) -> None:
        super().__init__(word)
        self.word = word
        self.messages = messages
