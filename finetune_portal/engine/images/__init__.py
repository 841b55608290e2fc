"""Foreign images: decoded in a child process with limits (`child.py`), which `decoder.py` starts and asks.

Only `pixels.py` knows Pillow. The engine's own process never imports it; that child does, and the trainers,
which are children, too.
"""
