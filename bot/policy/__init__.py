"""What each brand promises: packs, facts and pure decisions. No I/O but the pack loader's, no clock, no framework."""
