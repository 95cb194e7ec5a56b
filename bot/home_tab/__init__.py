"""The app's home tab in Slack: what is open, what is mine, and what can be chosen there."""
