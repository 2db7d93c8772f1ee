"""supportbot: a customer-support backend that decides by policy, acts once and forgets nothing."""
