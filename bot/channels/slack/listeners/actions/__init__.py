"""Buttons and selects."""
