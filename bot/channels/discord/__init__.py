"""Discord: the same conversations as on the widget, in direct messages and, seen by one person only, on servers."""
