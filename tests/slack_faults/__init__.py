"""Everything that Slack can do to a bot, row by row. ``python -m tests.slack_faults`` prints what a person sees."""
