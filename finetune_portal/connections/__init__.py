"""The upstreams that the team trains with: addresses, sealed keys, how each is, and the way to call."""
