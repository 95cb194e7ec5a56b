"""Blame, bucket and the report."""
