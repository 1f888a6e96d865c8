"""Every error and warning of this package.

Exception
└── SpiceDBError            anything this package raises on purpose
    └── InvalidProps        also a ValueError: the props cannot be rendered
UserWarning
└── SpiceDBWarning          rendered as asked, but read this first
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


@frozen
class Problem:
    """One thing that is wrong with one field."""

    field: str
    """The path of the field from the props down, such as ``server.replicas``."""
    value: str
    """What was given, as text; a value that may be secret is described, never shown."""
    allowed: str
    """What the field takes."""
    fix: str
    """What to change."""

    def __str__(self) -> str:
        return f"{self.field} = {self.value}\n    allowed: {self.allowed}\n    fix: {self.fix}"


class SpiceDBError(Exception):
    """The base of every error that this package raises on purpose."""


class InvalidProps(SpiceDBError, ValueError):  # noqa: N818 (says what is wrong, not that it is)
    """The props cannot be rendered; nothing was added to the app.

    Raised by every construct before it adds anything. The message lists all problems at once,
    and ``problems`` holds them for programs.
    """

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self.subject = subject
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        super().__init__("\n".join([f"{count} in {subject}:", *(f"  {p}" for p in self.problems)]))

    def __reduce__(self) -> tuple[type[InvalidProps], tuple[str, tuple[Problem, ...]]]:
        return type(self), (self.subject, self.problems)


class SpiceDBWarning(UserWarning):
    """Something that renders as asked but that the release's owner should know.

    The one category of this package, so ``-W error::cdk8s_spicedb.SpiceDBWarning`` makes them errors.
    """
