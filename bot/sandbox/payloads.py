"""What Slack sends when a person does something: presses, chooses, sends a form, types a command, uses a shortcut."""

from collections.abc import Iterator, Mapping
from typing import Any

from bot.sandbox.elements import ELEMENTS, at_first, chosen
from bot.sandbox.workspace import Channel, Message, View, Workspace

Payload = dict[str, Any]
Given = Mapping[str, str | list[str]]  # what was chosen or written, by block, or by "block/action"


def elements_of(blocks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that a person can use in blocks, each with the name of its block."""
    for number, block in enumerate(blocks):
        name = str(block.get("block_id") or f"b{number}")
        found = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        yield from ((name, item) for item in found if isinstance(item, dict) and item.get("type") in ELEMENTS)


def action_of(blocks: list[dict[str, Any]], action: str, words: list[str]) -> Payload:
    """A used element as it is sent. Raises: KeyError: there is no such element or option."""
    block, item = {item.get("action_id"): (name, item) for name, item in elements_of(blocks)}[action]
    about = {"action_id": action, "block_id": block}
    if item["type"] == "button":
        return about | {name: item[name] for name in ("type", "text", "value", "style") if name in item}
    return about | chosen(item, words)


def press_of(workspace: Workspace, channel: Channel, message: Message, user: str, action: Payload) -> Payload:
    """The payload of an element of a message that was used.

    Source: docs.slack.dev/reference/interaction-payloads/block_actions-payload.
    """
    place = {"message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": False}
    return _by(workspace, user) | {
        "type": "block_actions",
        "container": {"type": "message", **place} | ({"thread_ts": message.thread_ts} if message.thread_ts else {}),
        "channel": {"id": channel.id, "name": channel.name},
        "message": message.to_json(),
        "state": {"values": {}},
        "response_url": f"{workspace.base}respond/{channel.id}/{user}",
        "actions": [{**action, "action_ts": workspace.new_ts()}],
    }


def view_press_of(workspace: Workspace, view: View, action: Payload, given: Given) -> Payload:
    """The payload of an element of a window or a home tab that was used, with what else stands there by then."""
    state = {"values": _state(view, given)}
    return _by(workspace, view.user) | {
        "type": "block_actions",
        "container": {"type": "view", "view_id": view.id},
        "view": view.to_json() | {"state": state},
        "actions": [{**action, "action_ts": workspace.new_ts()}],
    }


def submission_of(workspace: Workspace, view: View, given: Given) -> Payload:
    """The payload of a form that was sent: every field of it, those left empty as None.

    Source: docs.slack.dev/reference/interaction-payloads/view-interactions-payload.
    """
    state = {"values": _state(view, given)}
    return _by(workspace, view.user) | {
        "type": "view_submission",
        "view": view.to_json() | {"state": state},
        "response_urls": [],
    }


def _state(view: View, given: Given) -> Payload:
    found: Payload = {}
    for name, item in elements_of(view.content["blocks"]):
        if item["type"] != "button":
            words = given.get(f"{name}/{item.get('action_id', '')}", given.get(name))
            written = at_first(item) if words is None else [words] if isinstance(words, str) else words
            found.setdefault(name, {})[item.get("action_id", name)] = chosen(item, written)
    return found


def _by(workspace: Workspace, user: str) -> Payload:
    # What every payload of an interaction has.
    return {
        "user": {"id": user, "username": workspace.users[user].name, "team_id": workspace.team_id},
        "team": {"id": workspace.team_id, "domain": "sandbox"},
        "api_app_id": workspace.app_id,
        "token": "sandbox",
        "trigger_id": workspace.new_trigger(user),
        "is_enterprise_install": False,
        "enterprise": None,
    }


def command_of(workspace: Workspace, channel: Channel, user: str, text: str) -> Payload:
    """The payload of a slash command. Source: docs.slack.dev/interactivity/implementing-slash-commands."""
    return {
        "command": "/pileup",
        "text": text,
        "team_id": workspace.team_id,
        "team_domain": "sandbox",
        "channel_id": channel.id,
        "channel_name": channel.name,
        "user_id": user,
        "user_name": workspace.users[user].name,
        "api_app_id": workspace.app_id,
        "token": "sandbox",
        "response_url": f"{workspace.base}respond/{channel.id}/{user}",
        "trigger_id": workspace.new_trigger(user),
        "is_enterprise_install": "false",
    }


def shortcut_of(workspace: Workspace, channel: Channel, message: Message, user: str, callback: str) -> Payload:
    """The payload of a message's shortcut.

    Source: docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload.
    """
    return _by(workspace, user) | {
        "type": "message_action",
        "callback_id": callback,
        "response_url": f"{workspace.base}respond/{channel.id}/{user}",
        "channel": {"id": channel.id, "name": channel.name},
        "message": message.to_json(),
        "message_ts": message.ts,
        "action_ts": workspace.new_ts(),
    }
