"""One line a load step on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called on rank 0 after each attempt with the part of the load carried and a message."""


def progress_line(fraction: float, message: str) -> None:
    """Print the message where somebody may be looking: to standard error if it is a terminal."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr, flush=True)


def time_left(fraction: float, seconds: float) -> str:
    """How long the rest takes if it goes on as it went, like " 3 min left"; "" before anything is known and at the end."""
    if not 0.0 < fraction < 1.0:
        return ""
    left = seconds * (1.0 - fraction) / fraction
    if left < 100.0:
        return f", {left:.0f} s left"
    return f", {left / 60.0:.0f} min left" if left < 6000.0 else f", {left / 3600.0:.1f} h left"
