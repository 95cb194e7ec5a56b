"""Who is who: the app itself, and people."""

from bot.sandbox.arguments import Arguments
from bot.sandbox.calling import Answer, Caller, Method
from bot.sandbox.errors import SlackError


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


def users_info(caller: Caller, arguments: Arguments) -> Answer:
    user = caller.workspace.users.get(arguments["user"])
    if user is None:
        raise SlackError("user_not_found")
    about = {"id": user.id, "team_id": caller.workspace.team_id, "name": user.name, "is_bot": bool(user.bot_id)}
    about |= {"is_restricted": user.is_guest, "is_ultra_restricted": False, "is_admin": user.is_admin}
    return {"user": about | {"real_name": user.name.title(), "tz": "Europe/Berlin", "deleted": user.is_deleted}}


def usergroups_users_list(caller: Caller, arguments: Arguments) -> Answer:
    members = caller.workspace.groups.get(arguments["usergroup"])
    if members is None:
        raise SlackError("no_such_subteam")
    return {"users": sorted(members)}


METHODS: dict[str, Method] = {
    "auth.test": Method(auth_test, None, "team_id"),
    "usergroups.users.list": Method(usergroups_users_list, "usergroups:read", "usergroup! include_disabled:bool"),
    "users.info": Method(users_info, "users:read", "user! include_locale:bool"),
}
