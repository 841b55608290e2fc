"""Resumable uploads by tus 1.0: the views, and the endpoint that writes the bytes."""
