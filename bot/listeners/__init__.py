"""Slack events in, jobs out; nothing slower than one transaction."""
