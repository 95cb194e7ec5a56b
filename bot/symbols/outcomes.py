"""Why a place did not give a file; each argument is what to tell a person."""


class NotThere(Exception):
    """The place does not have it."""


class Failed(Exception):
    """The place could not be asked, or has something else under that name."""


class GivenUp(Failed):
    """Our time was over before the place had answered: that says nothing about the place."""


class NotStored(Failed):
    """What a server sent could not be written here: no fault of the server's."""
