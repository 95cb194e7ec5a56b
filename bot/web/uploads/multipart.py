"""A form with one file, taken apart while it comes: small fields are kept, the file goes straight to the disk.

RFC 7578. The file's field is ``dump``; fields that decide about it must stand before it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from bot.web.uploads.receiving import Received, Sink, Unwelcome

FILE_FIELD = "dump"
MAX_FIELDS, MAX_FIELD = 10, 2000

# Opens the place for the file, given the fields so far and the name that the client gave.
Open = Callable[[dict[str, str], str | None], Sink]


@dataclass(slots=True)
class _Part:
    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    value: bytes = b""
    sink: Sink | None = None


class Form:
    """One form on its way. Raises: Unwelcome, from ``feed`` and ``finish``."""

    def __init__(self, content_type: str, open_file: Open) -> None:
        kind, options = parse_options_header(content_type.encode("latin-1"))
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise Unwelcome(415, "This is no multipart/form-data with a boundary.")
        self.fields: dict[str, str] = {}
        self.received: Received | None = None
        self._open = open_file
        self._part = _Part()
        self._header = self._value = b""
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._name,
                    "on_header_value": self._text,
                    "on_header_end": self._head,
                    "on_headers_finished": self._headed,
                    "on_part_data": self._data,
                    "on_part_end": self._close,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise Unwelcome(400, "The boundary of this form is none.") from error

    def feed(self, data: bytes) -> None:
        """Take some more of the body."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise Unwelcome(400, "This form cannot be read.") from error

    def finish(self) -> Received:
        """The file, once the body is over."""
        if not self._ended or self.received is None:
            raise Unwelcome(400, f"This form is cut, or has no file in a field {FILE_FIELD}.")
        return self.received

    def close(self) -> None:
        """Let go of a file that is still open."""
        if self._part.sink is not None:
            self._part.sink.close()

    def _begin(self) -> None:
        self._part = _Part()
        if len(self.fields) >= MAX_FIELDS:
            raise Unwelcome(400, "This form has too many fields.")

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _text(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _head(self) -> None:
        self._part.headers[self._header.decode("latin-1").lower()] = self._value.decode("utf-8", "replace")
        self._header = self._value = b""

    def _headed(self) -> None:
        disposition = self._part.headers.get("content-disposition", "").encode("utf-8", "replace")
        _, options = parse_options_header(disposition)
        self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options or b"filename*" in options:
            if self._part.name != FILE_FIELD or self.received is not None:
                raise Unwelcome(400, f"This form has more than one file, or not in a field {FILE_FIELD}.")
            name = options.get(b"filename", b"").decode("utf-8", "replace")
            self._part.sink = self._open(dict(self.fields), name)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.sink is not None:
            self._part.sink.write(data[start:end])
            return
        self._part.value += data[start:end]
        if len(self._part.value) > MAX_FIELD:
            raise Unwelcome(413, "A field of this form is too long.")

    def _close(self) -> None:
        part = self._part
        if part.sink is not None:
            self.received = part.sink.finish()
        elif part.name in self.fields:
            raise Unwelcome(400, "A field of this form stands there twice.")
        else:
            self.fields[part.name] = part.value.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True
