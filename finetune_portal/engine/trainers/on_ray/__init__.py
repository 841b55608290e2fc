"""A training on a Ray cluster: the child process that asks for it, and what then runs on some node.

Only `__main__.py` imports ray. To the engine that child is like the one that trains here.
"""
