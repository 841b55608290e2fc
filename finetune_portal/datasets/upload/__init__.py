"""Resumable uploads by tus 1.0: the views, and the ASGI endpoint that writes the bytes."""
