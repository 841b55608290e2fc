"""Datasets: upload, check, library, and the transfer to providers."""
