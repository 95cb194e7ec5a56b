"""The Web API methods that the bot may use, over a workspace. One table, one function a method."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.arguments import Arguments
from bot.sandbox.block_rules import METADATA_LIMIT, check_message, check_view
from bot.sandbox.errors import SlackError
from bot.sandbox.workspace import Channel, File, Message, Whisper, Workspace

Answer = dict[str, Any]
PAGE = 100  # messages of one page, unless the caller asks for fewer


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls and where the stand-in listens. ``base`` is its address with a slash at the end."""

    workspace: Workspace
    base: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its function, the scope it needs, its arguments ("name:kind", required ones with "!")."""

    run: Callable[[Caller, Arguments], Answer]
    scope: str | None
    arguments: str
    kinds: dict[str, str] = field(init=False)
    required: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        kinds = {"token": "str"}
        required = set()
        for item in self.arguments.split():
            name, _, kind = item.rstrip("!").partition(":")
            kinds[name] = kind or "str"
            if item.endswith("!"):
                required.add(name)
        object.__setattr__(self, "kinds", kinds)
        object.__setattr__(self, "required", frozenset(required))


def _channel(caller: Caller, arguments: Arguments, *, member: bool = True, name: str = "channel") -> Channel:
    channel = caller.workspace.channels.get(arguments[name])
    if channel is None:
        raise SlackError("channel_not_found")
    if member and caller.workspace.bot.id not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _writable(caller: Caller, arguments: Arguments, name: str = "channel") -> Channel:
    channel = _channel(caller, arguments, name=name)
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def _message(channel: Channel, ts: str, error: str = "message_not_found") -> Message:
    message = channel.messages.get(ts)
    if message is None:
        raise SlackError(error)
    return message


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


def auth_test(caller: Caller, _arguments: Arguments) -> Answer:
    workspace = caller.workspace
    return {
        "url": caller.base,
        "team": workspace.team_name,
        "user": workspace.bot.name,
        "team_id": workspace.team_id,
        "user_id": workspace.bot.id,
        "bot_id": workspace.bot.bot_id,
        "is_enterprise_install": False,
    }


def chat_post_message(caller: Caller, arguments: Arguments) -> Answer:
    channel = _writable(caller, arguments)
    blocks = arguments.get("blocks", [])
    check_message(arguments.get("text", ""), blocks)
    parent = arguments.get("thread_ts")
    if parent is not None:
        parent = _message(channel, parent, "thread_not_found").ts
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
    channel = _writable(caller, arguments)
    message = _message(channel, arguments["ts"])
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
    channel = _writable(caller, arguments)
    check_message(arguments.get("text", ""), arguments.get("blocks", []))
    if arguments["user"] not in channel.members:
        raise SlackError("user_not_in_channel")
    whisper = Whisper(channel.id, arguments["user"], arguments.get("text", ""), arguments.get("thread_ts"))
    caller.workspace.whispers.append(whisper)
    return {"message_ts": caller.workspace.new_ts()}


def views_open(caller: Caller, arguments: Arguments) -> Answer:
    check_view(arguments["view"])
    return {"view": caller.workspace.open_view(arguments["trigger_id"], arguments["view"]).to_json()}


def views_update(caller: Caller, arguments: Arguments) -> Answer:
    check_view(arguments["view"])
    view = caller.workspace.views.get(arguments.get("view_id", ""))
    if view is None:
        raise SlackError("not_found")
    if arguments.get("hash") not in (None, view.hash):
        raise SlackError("hash_conflict")
    caller.workspace.change_view(view, arguments["view"])
    return {"view": view.to_json()}


def chat_delete(caller: Caller, arguments: Arguments) -> Answer:
    channel = _channel(caller, arguments)
    message = _message(channel, arguments["ts"])
    if message.user != caller.workspace.bot.id:
        raise SlackError("cant_delete_message")
    caller.workspace.delete(channel, message)
    return {"channel": channel.id, "ts": message.ts}


def chat_get_permalink(caller: Caller, arguments: Arguments) -> Answer:
    channel = _channel(caller, arguments)
    message = _message(channel, arguments["message_ts"])
    link = f"{caller.base}archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts and message.thread_ts != message.ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def reactions_add(caller: Caller, arguments: Arguments) -> Answer:
    channel = _writable(caller, arguments)
    message = _message(channel, arguments["timestamp"])
    if not caller.workspace.react(channel, message, caller.workspace.bot.id, arguments["name"], add=True):
        raise SlackError("already_reacted")
    return {}


def reactions_remove(caller: Caller, arguments: Arguments) -> Answer:
    channel = _writable(caller, arguments)
    message = _message(channel, arguments["timestamp"])
    if not caller.workspace.react(channel, message, caller.workspace.bot.id, arguments["name"], add=False):
        raise SlackError("no_reaction")
    return {}


def conversations_info(caller: Caller, arguments: Arguments) -> Answer:
    channel = _channel(caller, arguments, member=False)
    is_member = caller.workspace.bot.id in channel.members
    about = {"id": channel.id, "name": channel.name, "is_im": channel.is_im, "is_archived": channel.is_archived}
    return {"channel": about | {"is_channel": not channel.is_im, "is_private": False, "is_member": is_member}}


def conversations_replies(caller: Caller, arguments: Arguments) -> Answer:
    channel = _channel(caller, arguments)
    message = _message(channel, arguments["ts"], "thread_not_found")
    return _page(channel.thread(message.thread_ts or message.ts), arguments)


def conversations_history(caller: Caller, arguments: Arguments) -> Answer:
    channel = _channel(caller, arguments)
    return _page(list(channel.top())[::-1], arguments)


def _page(messages: list[Message], arguments: Arguments) -> Answer:
    oldest, latest = arguments.get("oldest", "0"), arguments.get("latest", "9999999999")
    inside = [m for m in messages if float(oldest) < float(m.ts) < float(latest)]
    if arguments.get("inclusive"):
        inside = [m for m in messages if float(oldest) <= float(m.ts) <= float(latest)]
    start = int(str(arguments.get("cursor") or "next:0").partition(":")[2])
    size = min(PAGE, arguments.get("limit", PAGE))
    if size < 1:
        raise SlackError("invalid_limit")
    shown = inside[start : start + size]
    more = start + size < len(inside)
    with_metadata = arguments.get("include_all_metadata", False)
    return {
        "messages": [message.to_json(metadata=with_metadata) for message in shown],
        "has_more": more,
        "response_metadata": {"next_cursor": f"next:{start + size}" if more else ""},
    }


def users_info(caller: Caller, arguments: Arguments) -> Answer:
    user = caller.workspace.users.get(arguments["user"])
    if user is None:
        raise SlackError("user_not_found")
    about = {"id": user.id, "team_id": caller.workspace.team_id, "name": user.name, "is_bot": bool(user.bot_id)}
    return {"user": about | {"real_name": user.name.title(), "tz": "Europe/Berlin", "deleted": False}}


def files_get_upload_url(caller: Caller, arguments: Arguments) -> Answer:
    if arguments["length"] <= 0:
        raise SlackError("invalid_arguments", ("[ERROR] length must be greater than 0",))
    name = arguments["filename"]
    file = File(caller.workspace.new_id("F"), name, arguments["length"], arguments.get("alt_txt", ""))
    caller.workspace.files[file.id] = file
    return {"upload_url": f"{caller.base}upload/v1/{file.id}", "file_id": file.id}


def files_complete_upload(caller: Caller, arguments: Arguments) -> Answer:
    wanted = arguments["files"]
    if not isinstance(wanted, list) or not wanted:
        raise SlackError("invalid_arguments", ("[ERROR] files must be a list",))
    files = [_uploaded(caller, item) for item in wanted]
    if arguments.get("channel_id"):
        channel = _writable(caller, arguments, name="channel_id")
        parent = arguments.get("thread_ts")
        if parent is not None:
            parent = _message(channel, parent, "thread_not_found").ts
        bot = caller.workspace.bot
        comment = arguments.get("initial_comment", "")
        message = Message(caller.workspace.new_ts(), bot.id, comment, parent, bot_id=bot.bot_id, files=files)
        caller.workspace.post(channel, message)
    for file in files:
        file.completed = True
    return {"files": [{"id": file.id, "title": file.title} for file in files]}


def _uploaded(caller: Caller, item: Any) -> File:
    file = caller.workspace.files.get(item.get("id", "")) if isinstance(item, dict) else None
    if file is None or not file.uploaded or file.completed:
        raise SlackError("file_not_found")
    file.title = item.get("title") or file.name
    return file


def files_info(caller: Caller, arguments: Arguments) -> Answer:
    file = caller.workspace.files.get(arguments["file"])
    if file is None or not file.completed:
        raise SlackError("file_not_found")
    about = {"id": file.id, "name": file.name, "title": file.title, "size": file.size, "mimetype": "text/plain"}
    return {"file": about | {"url_private_download": f"{caller.base}files-pri/{file.id}/download"}}


_POST = "text blocks:json attachments:json mrkdwn:bool link_names:bool parse metadata:json unfurl_links:bool "
_PAGING = "cursor limit:int oldest latest inclusive:bool include_all_metadata:bool"

METHODS: dict[str, Method] = {
    "auth.test": Method(auth_test, None, "team_id"),
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
    "views.open": Method(views_open, None, "trigger_id! view:json!"),
    "views.update": Method(views_update, None, "view:json! view_id hash"),
    "chat.delete": Method(chat_delete, "chat:write", "channel! ts!"),
    "chat.getPermalink": Method(chat_get_permalink, None, "channel! message_ts!"),
    "reactions.add": Method(reactions_add, "reactions:write", "channel! timestamp! name!"),
    "reactions.remove": Method(reactions_remove, "reactions:write", "channel! timestamp! name!"),
    "conversations.info": Method(conversations_info, "channels:read", "channel! include_num_members:bool"),
    "conversations.replies": Method(conversations_replies, "channels:history", "channel! ts! " + _PAGING),
    "conversations.history": Method(conversations_history, "channels:history", "channel! " + _PAGING),
    "users.info": Method(users_info, "users:read", "user! include_locale:bool"),
    "files.getUploadURLExternal": Method(
        files_get_upload_url, "files:write", "filename! length:int! alt_txt snippet_type"
    ),
    "files.completeUploadExternal": Method(
        files_complete_upload, "files:write", "files:json! channel_id channels initial_comment thread_ts"
    ),
    "files.info": Method(files_info, "files:read", "file!"),
}
