"""A store of bytes in a bucket of S3, or of another service that speaks as it does."""
