"""Checks and repairs dataset ZIPs. Pure Python and Pillow: no Django, no network."""
