"""A training on a Ray cluster: the child process that asks for a node, and what runs there.

Only `__main__.py` imports ray. To the engine this child is like the one that trains on its own machine.
"""
