"""A bucket in the shape of S3: signed upload and download URLs for files on disk."""
