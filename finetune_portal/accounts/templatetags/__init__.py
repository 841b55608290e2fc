"""Template tags of deletion."""
