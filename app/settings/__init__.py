"""Typed settings: :class:`Settings` is what there is, :func:`load` is where it comes from."""

from app.settings.load import SettingsError, is_secret, load, names
from app.settings.model import Settings

__all__ = ["Settings", "SettingsError", "is_secret", "load", "names"]
