"""The one error that people see."""


class ImageError(Exception):
    """One clear sentence on what went wrong and what to do next."""
