"""Jobs: the form, the table, the job page, the live stream and the sync with providers."""
