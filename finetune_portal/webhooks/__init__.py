"""Webhooks of the provider: received, stored, processed later."""
