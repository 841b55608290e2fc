"""Migrations of the costs."""
