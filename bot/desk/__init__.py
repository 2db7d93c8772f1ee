"""The desk: where people see what the bot hands over, and act on it."""
