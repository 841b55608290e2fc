"""The portal's API: personal tokens, and the calls of the provider's API answered from the portal's rows."""
