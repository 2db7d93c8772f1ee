"""What the browser gets: the demo help center and the widget's files."""
