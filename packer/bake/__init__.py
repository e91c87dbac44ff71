"""Bakes the machine image: base disk, Packer, manifest, budget. Standard library only."""
