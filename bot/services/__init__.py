"""Use cases over policy and store: who is speaking, cancelling, refunds, tickets, receipts, what leaves the system."""
