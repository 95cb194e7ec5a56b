"""Tests of analysis.formats."""
