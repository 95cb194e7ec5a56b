"""Windows over the chat, and a person's home tab."""

from bot.sandbox.arguments import Arguments
from bot.sandbox.calling import Answer, Caller, Method
from bot.sandbox.errors import SlackError
from bot.sandbox.view_rules import check_home, check_modal
from bot.sandbox.workspace import View


def views_open(caller: Caller, arguments: Arguments) -> Answer:
    check_modal(arguments["view"])
    return {"view": caller.workspace.open_view(arguments["trigger_id"], arguments["view"]).to_json()}


def views_update(caller: Caller, arguments: Arguments) -> Answer:
    workspace = caller.workspace
    view = workspace.views.get(arguments.get("view_id", ""))
    if view is None:
        raise SlackError("not_found")
    check_modal(arguments["view"])
    _check_hash(view, arguments)
    workspace.change_view(view, arguments["view"])
    return {"view": view.to_json()}


def views_publish(caller: Caller, arguments: Arguments) -> Answer:
    check_home(arguments["view"])
    workspace, user = caller.workspace, arguments["user_id"]
    if user not in workspace.users:
        raise SlackError("user_not_found")
    shown = workspace.homes.get(user)
    if shown is not None:
        _check_hash(shown, arguments)
    return {"view": workspace.publish(user, arguments["view"]).to_json()}


def _check_hash(view: View, arguments: Arguments) -> None:
    if arguments.get("hash") not in (None, view.hash):
        raise SlackError("hash_conflict")


METHODS: dict[str, Method] = {
    "views.open": Method(views_open, None, "trigger_id! view:json!"),
    "views.update": Method(views_update, None, "view:json! view_id hash"),
    "views.publish": Method(views_publish, None, "user_id! view:json! hash"),
}
