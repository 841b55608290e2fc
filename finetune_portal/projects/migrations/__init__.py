"""Schema steps: short and additive."""
