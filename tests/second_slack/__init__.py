"""A Slack that others wrote: npm ``emulate``, a second opinion on what the bot sends and on what it makes of events.

It is a stateful Web API with users, channels, scopes, OAuth and signed events over HTTP. What it does not know:
Socket Mode, slash commands, presses of buttons (their windows it knows), ``app_mention``, ``users.conversations``,
user groups, retries, 429s. What it takes though Slack refuses it: any token (an unknown one acts for the first user),
blocks of any kind and length, a bot's post to a public channel it is not in, empty uploads.
"""
