"""Projects: what jobs and datasets are for, who works on them, and who may see them."""
