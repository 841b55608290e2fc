"""HTTP as every provider is called: one request at a time, with time-outs, limits and typed errors."""
