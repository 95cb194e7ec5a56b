"""Verdicts told to other programs over HTTP: who is owed what, signed, tried again, given up with a word."""
