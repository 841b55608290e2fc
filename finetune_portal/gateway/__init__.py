"""The portal as an API: personal access tokens, and the upstream's calls answered from our rows."""
