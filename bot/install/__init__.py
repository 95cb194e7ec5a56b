"""Workspaces that install the bot themselves: the way there, their tokens, and their going away."""
