"""How fast and how large supportbot is, beside stock Rasa on the same machine and the same data."""
