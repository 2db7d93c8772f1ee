"""The help-center widget's HTTP API."""
