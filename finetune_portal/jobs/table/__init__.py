"""The table of jobs: its query, filters, rows, saved views and bulk actions."""
