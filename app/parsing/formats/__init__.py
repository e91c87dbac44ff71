"""One module per family of formats; each has ``accepts(source, kind)`` and ``pages(source, limits)``."""
