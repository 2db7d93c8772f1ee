"""Slack: customers who write to our app there, and agents who answer there."""
