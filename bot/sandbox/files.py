"""Files: up in three steps, down with the bot's token."""

from typing import Any

from bot.sandbox.arguments import Arguments
from bot.sandbox.calling import Answer, Caller, Method, message_of, writable
from bot.sandbox.errors import SlackError
from bot.sandbox.workspace import File, Message


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
        channel = writable(caller, arguments, name="channel_id")
        parent = arguments.get("thread_ts")
        if parent is not None:
            parent = message_of(channel, parent, "thread_not_found").ts
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


METHODS: dict[str, Method] = {
    "files.getUploadURLExternal": Method(
        files_get_upload_url, "files:write", "filename! length:int! alt_txt snippet_type"
    ),
    "files.completeUploadExternal": Method(
        files_complete_upload, "files:write", "files:json! channel_id channels initial_comment thread_ts"
    ),
    "files.info": Method(files_info, "files:read", "file!"),
}
