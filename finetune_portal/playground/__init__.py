"""Trying finished models: a picture and an instruction in, the result beside it."""
