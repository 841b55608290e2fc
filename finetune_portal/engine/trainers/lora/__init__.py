"""The child processes that train a LoRA and generate images with it.

Only this package, `families` and `tiny` import torch. A child knows nothing of the engine but a folder, and
reports by lines of JSON on standard output.
"""
