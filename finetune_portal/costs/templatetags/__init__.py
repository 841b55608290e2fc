"""Template tags of the costs."""
