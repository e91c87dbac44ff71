"""Packer template, base disk, and the package that bakes."""
