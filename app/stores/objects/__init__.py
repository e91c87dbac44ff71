"""Raw documents as objects: one interface, kept in a folder or on an S3 server."""
