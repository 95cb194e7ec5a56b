"""Slack's rules of a text object. Source: docs.slack.dev/reference/block-kit/composition-objects/text-object."""

from collections.abc import Iterator
from typing import Any


def text_problems(
    value: Any, place: str, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> Iterator[str]:
    """What is wrong with a text object."""
    if not isinstance(value, dict) or value.get("type") not in kinds or not isinstance(value.get("text"), str):
        yield f"invalid text object [json-pointer:{place}/text]"
    elif not value["text"]:
        yield f"must be more than 0 characters [json-pointer:{place}/text/text]"
    elif len(value["text"]) > limit:
        yield f"must be less than {limit + 1} characters [json-pointer:{place}/text/text]"
