"""What the app listens to, a folder per kind, a module per listener; registered in `bot/channels/slack/bolt.py`."""
