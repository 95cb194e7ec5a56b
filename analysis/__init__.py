"""A dump in, a Report out. Knows nothing of Slack, HTTP, SQL or templates."""
