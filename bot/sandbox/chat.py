"""Messages: posting, editing, deleting, whispering, linking."""

from typing import Any

from bot.sandbox.arguments import Arguments
from bot.sandbox.block_rules import METADATA_LIMIT, check_message
from bot.sandbox.calling import Answer, Caller, Method, channel_of, message_of, writable
from bot.sandbox.errors import SlackError
from bot.sandbox.workspace import Message, Whisper


def chat_post_message(caller: Caller, arguments: Arguments) -> Answer:
    channel = writable(caller, arguments)
    blocks = arguments.get("blocks", [])
    check_message(arguments.get("text", ""), blocks)
    parent = arguments.get("thread_ts")
    if parent is not None and not channel.thread(parent):
        # The message it would stand below is gone, and nothing is left of its thread: Slack does not refuse that, the
        # message comes to stand in the channel itself. Source: github.com/slack-go/slack/issues/1571.
        parent = None
    workspace = caller.workspace
    message = Message(
        workspace.new_ts(),
        workspace.bot.id,
        arguments.get("text", ""),
        parent,
        blocks,
        _metadata(arguments),
        workspace.bot.bot_id,
        unfurl=(arguments.get("unfurl_links", True), arguments.get("unfurl_media", True)),
    )
    workspace.post(channel, message)
    return {"channel": channel.id, "ts": message.ts, "message": message.to_json(metadata=True)}


def chat_update(caller: Caller, arguments: Arguments) -> Answer:
    channel = writable(caller, arguments)
    message = message_of(channel, arguments["ts"])
    if message.user != caller.workspace.bot.id:
        raise SlackError("cant_update_message")
    text, blocks = arguments.get("text", ""), arguments.get("blocks", [])
    check_message(text, blocks)
    metadata = _metadata(arguments)
    if metadata is not None:
        message.metadata = metadata
    caller.workspace.edit(channel, message, text, blocks)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.to_json()}


def chat_post_ephemeral(caller: Caller, arguments: Arguments) -> Answer:
    channel = writable(caller, arguments)
    check_message(arguments.get("text", ""), arguments.get("blocks", []))
    if arguments["user"] not in channel.members:
        raise SlackError("user_not_in_channel")
    whisper = Whisper(channel.id, arguments["user"], arguments.get("text", ""), arguments.get("thread_ts"))
    caller.workspace.whisper(whisper)
    return {"message_ts": caller.workspace.new_ts()}


def chat_delete(caller: Caller, arguments: Arguments) -> Answer:
    channel = channel_of(caller, arguments)
    message = message_of(channel, arguments["ts"])
    if message.user != caller.workspace.bot.id:
        raise SlackError("cant_delete_message")
    caller.workspace.delete(channel, message)
    return {"channel": channel.id, "ts": message.ts}


def chat_get_permalink(caller: Caller, arguments: Arguments) -> Answer:
    channel = channel_of(caller, arguments)
    message = message_of(channel, arguments["message_ts"])
    link = f"{caller.base}archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts and message.thread_ts != message.ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def _metadata(arguments: Arguments) -> dict[str, Any] | None:
    metadata = arguments.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    if len(str(metadata)) > METADATA_LIMIT:
        raise SlackError("metadata_too_large")
    return metadata


_POST = "text blocks:json attachments:json mrkdwn:bool link_names:bool parse metadata:json unfurl_links:bool "

METHODS: dict[str, Method] = {
    "chat.postMessage": Method(
        chat_post_message, "chat:write", _POST + "channel! thread_ts unfurl_media:bool reply_broadcast:bool"
    ),
    "chat.update": Method(
        chat_update,
        "chat:write",
        "channel! ts! text blocks:json attachments:json link_names:bool parse metadata:json reply_broadcast:bool",
    ),
    "chat.postEphemeral": Method(
        chat_post_ephemeral, "chat:write", "channel! user! text blocks:json thread_ts parse link_names:bool"
    ),
    "chat.delete": Method(chat_delete, "chat:write", "channel! ts!"),
    "chat.getPermalink": Method(chat_get_permalink, None, "channel! message_ts!"),
}
