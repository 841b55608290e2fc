"""What a job's page shows beyond its table row: stages, diagnosis, estimate, curves, snippets, comparison."""
