"""The tests of real training need requirements-train.txt (`make test-train`); elsewhere they are left out."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
collect_ignore = [] if find_spec("ray") else ["test_ray.py"]
