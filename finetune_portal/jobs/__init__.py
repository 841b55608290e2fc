"""Training jobs: the form, the table, the job page, and the talk with the upstream."""
