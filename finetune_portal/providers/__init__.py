"""What the portal can train with: one package a provider. No Django, nothing of the portal."""
