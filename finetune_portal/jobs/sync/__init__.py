"""What the worker does with a job at its provider: submit, poll, progress, samples, model file."""
