"""The jobs that the bot does, one module each."""
