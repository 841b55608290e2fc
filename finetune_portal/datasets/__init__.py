"""Training sets: from a file in the browser to an object at a presigned URL."""
