"""Delete jobs, models and datasets with all that was made of them."""
