"""Rasa custom actions: each hands one understood message to the dialogue and gives back what was said."""
