"""The bot's pages in a real browser: searched for what people trip over, and drawn for people to look at."""
