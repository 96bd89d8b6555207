"""Colours of the theme for lines that a widget draws itself."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


def find_style(widget: Widget, name: str) -> Style:
    """A component's style as rich has it: what is transparent in it is mixed with the widget's background."""
    component = widget.get_component_styles(name)
    behind = widget.background_colors[1]
    return Style(
        color=(behind + component.color).rich_color if component.has_rule("color") else None,
        bgcolor=(behind + component.background).rich_color if component.has_rule("background") else None,
    ) + Style.parse(str(component.text_style) if component.has_rule("text_style") else "none")
