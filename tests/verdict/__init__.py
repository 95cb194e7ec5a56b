"""Tests of blame, buckets and the report."""
