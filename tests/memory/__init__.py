"""Tests of analysis.memory."""
