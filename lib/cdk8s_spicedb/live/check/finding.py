"""What a check found."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

from ..text import redacted


class Level(Enum):
    """How serious a finding is."""

    OK = "ok"
    """Nothing to do."""
    WARNING = "warning"
    """Worth knowing. The upgrade can go on."""
    FAILURE = "failure"
    """The upgrade would fail or do harm. Fix it first."""


@frozen
class Finding:
    """One line of a check."""

    level: Level
    """How serious it is."""
    subject: str
    """What was checked, such as ``Secret spicedb``."""
    text: str = field(converter=redacted)
    """What was found. Passwords, keys and tokens in it are hidden."""
    fix: str = ""
    """What to do. Empty if there is nothing to do."""

    @classmethod
    def ok(cls, subject: str, text: str) -> Finding:
        """A finding that needs no action."""
        return cls(Level.OK, subject, text)

    @classmethod
    def warning(cls, subject: str, text: str, fix: str = "") -> Finding:
        """A finding that you should know about."""
        return cls(Level.WARNING, subject, text, fix)

    @classmethod
    def failure(cls, subject: str, text: str, fix: str) -> Finding:
        """A finding that must be fixed first."""
        return cls(Level.FAILURE, subject, text, fix)

    def line(self) -> str:
        """The finding and its fix in one line."""
        fix = f"; fix: {self.fix}" if self.fix else ""
        return " ".join(f"{self.level.value} {self.subject}: {self.text}{fix}".split())
