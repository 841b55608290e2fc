"""Run finished models: a picture and a prompt in, the result beside it."""
