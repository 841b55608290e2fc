"""Template tags that show the API on pages of jobs."""
