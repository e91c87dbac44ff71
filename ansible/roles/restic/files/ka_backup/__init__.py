"""Backups of the fleet: what is saved, watched, tried and brought back, by restic. Standard library alone."""
