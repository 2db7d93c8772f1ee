"""One set of scenarios for every channel: what a customer can do on one, they can do on all."""
