"""Slack listeners: ack, store a job, return."""
