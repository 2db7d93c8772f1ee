"""Understanding: from a customer's words to an intent, a calibrated confidence and normalised entities."""
