"""Slack over its real protocol, with a scripted engine."""
