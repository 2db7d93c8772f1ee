"""A Slack room as a desk: agents answer customers of any channel there."""
