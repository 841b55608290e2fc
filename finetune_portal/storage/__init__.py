"""The door to the files that the portal keeps under DATA_DIR."""
