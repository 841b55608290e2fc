"""Finetune Portal: a team's own dashboard for Flux Kontext fine-tuning."""

from __future__ import annotations

__version__ = "0.1.0"
