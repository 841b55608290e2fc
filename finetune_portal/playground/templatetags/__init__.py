"""Template tags that show the playground on pages of jobs."""
