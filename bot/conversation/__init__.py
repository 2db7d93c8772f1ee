"""The one door for messages, and the dialogue engine behind it."""
