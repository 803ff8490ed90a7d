"""What a command prints: with colours on a terminal, without them anywhere else (https://no-color.org)."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

from sipcgi.logs import printable

if TYPE_CHECKING:
    from rich.console import Console


class Paper:
    """Takes lines with their styles, in the names of rich, which is only loaded where colours are shown."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stdout
        self.console: Console | None = None
        if self.stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
            from rich.console import Console

            self.console = Console(file=self.stream, highlight=False, soft_wrap=True)

    def line(self, text: str = "", style: str = "") -> None:
        """One line; what would move the cursor is escaped."""
        self.spans((text, style))

    def spans(self, *spans: tuple[str, str]) -> None:
        """One line of several texts, each with its style."""
        safe = [(printable(text), style) for text, style in spans]
        if self.console is None:
            self.stream.write("".join(text for text, _ in safe).rstrip() + "\n")
            return
        from rich.text import Text

        self.console.print(Text.assemble(*safe))

    def heading(self, text: str, remark: str = "") -> None:
        """The title of what follows."""
        self.spans((text, "bold"), (f"  {remark}" if remark else "", "dim"))
