"""Data only: templates of messages and pages."""
