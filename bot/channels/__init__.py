"""Where messages come from and go to: each channel translates for the gateway and decides nothing."""
