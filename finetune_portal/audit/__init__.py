"""The audit record: who did what, append-only."""
