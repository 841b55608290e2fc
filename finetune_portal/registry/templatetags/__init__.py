"""Template tags that show on pages of jobs where the copy of a model file is."""
