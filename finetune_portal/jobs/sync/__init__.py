"""What the worker does with a job at its provider: submit, follow, fetch progress, samples, model file."""
