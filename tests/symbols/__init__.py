"""Tests of analysis.symbols."""
