"""Dumps that come in over the web: received to disk under limits, then read by the jobs that read links."""
