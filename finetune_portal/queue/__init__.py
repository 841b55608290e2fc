"""The database as the queue: rows with a lease, and the number that changes with each commit."""
