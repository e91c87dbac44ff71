"""Colours, fonts and measures: calm greys, one dark green, and only fonts that the system has."""

from __future__ import annotations

from pathlib import Path

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

_HERE = Path(__file__).parent
_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Consolas", "Liberation Mono", "monospace"]


def theme() -> Base:
    """The theme of Gradio's own parts; the rest is in ``style.css``."""
    return Base(
        primary_hue=colors.teal,
        neutral_hue=colors.stone,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_md,
        text_size=sizes.text_md,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_background_fill="var(--ka-paper)",
        body_background_fill_dark="var(--ka-paper)",
        body_text_color="var(--ka-ink)",
        body_text_color_dark="var(--ka-ink)",
        background_fill_primary="var(--ka-card)",
        background_fill_primary_dark="var(--ka-card)",
        background_fill_secondary="var(--ka-paper)",
        background_fill_secondary_dark="var(--ka-paper)",
        border_color_primary="var(--ka-line)",
        border_color_primary_dark="var(--ka-line)",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        input_border_width="1px",
        button_border_width="1px",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        color_accent="var(--ka-accent)",
        color_accent_soft="var(--ka-tint)",
        color_accent_soft_dark="var(--ka-tint)",
        input_background_fill="var(--ka-card)",
        input_background_fill_dark="var(--ka-card)",
        input_border_color="var(--ka-line)",
        input_border_color_dark="var(--ka-line)",
        input_border_color_focus="var(--ka-accent)",
        input_border_color_focus_dark="var(--ka-accent)",
        input_shadow="none",
        input_shadow_focus="0 0 0 3px var(--ka-glow)",
        input_shadow_focus_dark="0 0 0 3px var(--ka-glow)",
        button_primary_background_fill="var(--ka-accent)",
        button_primary_background_fill_dark="var(--ka-accent)",
        button_primary_background_fill_hover="var(--ka-accent-strong)",
        button_primary_background_fill_hover_dark="var(--ka-accent-strong)",
        button_primary_text_color="var(--ka-on-accent)",
        button_primary_text_color_dark="var(--ka-on-accent)",
        button_secondary_background_fill="var(--ka-card)",
        button_secondary_background_fill_dark="var(--ka-card)",
        button_secondary_border_color="var(--ka-line)",
        button_secondary_border_color_dark="var(--ka-line)",
        button_secondary_text_color="var(--ka-ink)",
        button_secondary_text_color_dark="var(--ka-ink)",
    )


def beside(name: str) -> str:
    """One of the small scripts and style sheets beside this file."""
    return (_HERE / name).read_text(encoding="utf-8")
