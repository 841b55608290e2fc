"""What the page of a job shows beyond its row: stages, diagnosis, estimate, curves, snippets, comparison."""
