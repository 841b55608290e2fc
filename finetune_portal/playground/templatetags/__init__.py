"""The playground on the pages of jobs."""
