"""A bucket that looks like S3: signed upload and download URLs over files on disk."""
