"""The base models that can be trained: one module for each family of models."""
