"""Trainers: each turns a dataset into the weights of a LoRA."""
