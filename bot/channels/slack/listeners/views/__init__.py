"""Forms that were sent."""
