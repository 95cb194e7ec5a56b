"""Builds kernel dumps from layouts of its own. Imports nothing from the packages under test."""
