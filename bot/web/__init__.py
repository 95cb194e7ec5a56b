"""Pages: one crash as a file of its own, and history as a small web site beside the bot."""
