"""Tests of bugcheck tables and families."""
