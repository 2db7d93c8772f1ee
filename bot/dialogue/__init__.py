"""What the bot does with what it understood: flows that ask, decide through the services and tell, a turn at a time."""
