"""News from the upstream: received, stored, digested later."""
