"""Which crew a process has: from the settings."""

from bot.crew import Crew, LocalCrew
from bot.ending import Ending
from bot.settings import Settings
from bot.tools import Tools


def crew_of(settings: Settings, tools: Tools, ending: Ending) -> Crew:
    """Those who take jobs in this process: from the queue on PostgreSQL, from the table on SQLite."""
    if tools.store.handover is None:
        return LocalCrew(tools, settings.workers, ending)
    from bot.fleet.queue_crew import QueueCrew

    return QueueCrew(tools, str(settings.database), settings.workers, ending)
