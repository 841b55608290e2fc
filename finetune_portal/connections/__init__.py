"""The team's accounts at providers: address, encrypted key, health, rate limit and client."""
