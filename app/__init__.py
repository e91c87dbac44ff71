"""A private knowledge assistant: documents in, cited answers out."""

__version__ = "0.1.0"
