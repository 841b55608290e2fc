"""Delete jobs and datasets with all that was made of them."""
