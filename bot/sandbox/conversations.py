"""Channels and what was written in them."""

from bot.sandbox.arguments import Arguments
from bot.sandbox.calling import Answer, Caller, Method, channel_of, message_of, scope_of
from bot.sandbox.errors import SlackError
from bot.sandbox.workspace import Channel, Message

PAGE = 100  # messages of one page, unless the caller asks for fewer


def conversations_info(caller: Caller, arguments: Arguments) -> Answer:
    channel = channel_of(caller, arguments, member=False)
    caller.need(scope_of(channel, "read"))
    if channel.kind != "public_channel" and caller.workspace.bot.id not in channel.members:
        raise SlackError("channel_not_found")  # of others nobody hears that they exist
    return {"channel": about(channel, caller.workspace.bot.id)}


def about(channel: Channel, bot: str) -> Answer:
    """A channel as Slack's API shows it. Source: docs.slack.dev/reference/objects/conversation-object."""
    shown = {"id": channel.id, "is_archived": channel.is_archived, "is_im": channel.is_im, "is_mpim": channel.is_mpim}
    if channel.is_im:
        return shown | {"user": next(iter(channel.members - {bot}), bot), "is_user_deleted": False}
    return shown | {
        "name": channel.name,
        "is_channel": not channel.is_mpim,
        "is_group": channel.is_private,
        "is_private": channel.is_private or channel.is_mpim,
        "is_ext_shared": channel.is_shared,
        "is_member": bot in channel.members,
    }


def conversations_replies(caller: Caller, arguments: Arguments) -> Answer:
    channel = channel_of(caller, arguments)
    caller.need(scope_of(channel, "history"))
    message = message_of(channel, arguments["ts"], "thread_not_found")
    return _page(channel.thread(message.thread_ts or message.ts), arguments)


def conversations_history(caller: Caller, arguments: Arguments) -> Answer:
    channel = channel_of(caller, arguments)
    caller.need(scope_of(channel, "history"))
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


_PAGING = "cursor limit:int oldest latest inclusive:bool include_all_metadata:bool"

METHODS: dict[str, Method] = {
    "conversations.info": Method(conversations_info, None, "channel! include_num_members:bool"),
    "conversations.replies": Method(conversations_replies, None, "channel! ts! " + _PAGING),
    "conversations.history": Method(conversations_history, None, "channel! " + _PAGING),
}
