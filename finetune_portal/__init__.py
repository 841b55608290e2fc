"""Finetune Portal: a team's own dashboard for Flux Kontext fine-tuning."""

from __future__ import annotations

import sys

__version__ = "0.1.0"

try:
    # SQLite before 3.51.3 can corrupt a WAL database that two processes write to; the driver that
    # comes with Python is often older. Must stand in before Django loads its backend.
    import pysqlite3
except ImportError:
    pass
else:
    sys.modules["sqlite3"] = pysqlite3
