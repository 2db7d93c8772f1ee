"""What the bot listens to on Discord, a module for each feature; all of them hand over to the reception."""
