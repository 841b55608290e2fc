"""Own copies of the files of finished models."""
