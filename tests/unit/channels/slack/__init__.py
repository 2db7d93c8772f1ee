"""Parts of the Slack channel by themselves."""
