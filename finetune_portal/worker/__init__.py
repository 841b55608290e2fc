"""The one process that does what must not wait in a request."""
