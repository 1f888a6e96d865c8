"""Errors and warnings of this package.

Exception
└── SpiceDBError            the base class of all errors
    └── InvalidProps        also a ValueError: the props cannot be rendered
UserWarning
└── SpiceDBWarning          the props render, but you should know something about them
    └── AdvisoryWarning     the release has a known fault that concerns these props
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from .text import count


@frozen
class Problem:
    """One problem of one field."""

    field: str
    """Path of the field in the props, such as ``server.replicas``."""
    value: str
    """Value of the field, as text. A value that may be secret is described, not shown."""
    allowed: str
    """Values that the field accepts."""
    fix: str
    """What to change to fix the problem."""

    def __str__(self) -> str:
        return f"{self.field} = {self.value}\n    allowed: {self.allowed}\n    fix: {self.fix}"


class SpiceDBError(Exception):
    """Base class of all errors of this package."""

    unanswered: bool = False
    """Whether the cluster or SpiceDB did not answer, or denied access."""


class InvalidProps(SpiceDBError, ValueError):  # noqa: N818 (the name says what is wrong)
    """The props are invalid.

    Constructs raise it before they add anything to the app. The message lists all problems, and ``problems`` has them
    for programs.
    """

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self.subject = subject
        heading = f"{count(len(self.problems), 'problem')} in {subject}:"
        super().__init__("\n".join([heading, *(f"  {problem}" for problem in self.problems)]))

    def __reduce__(self) -> tuple[type[InvalidProps], tuple[str, tuple[Problem, ...]]]:
        return type(self), (self.subject, self.problems)


class SpiceDBWarning(UserWarning):
    """Category of all warnings of this package: settings that render, and that you should know about.

    ``-W error::cdk8s_spicedb.SpiceDBWarning`` turns them into errors.
    """


class AdvisoryWarning(SpiceDBWarning):
    """Category of the warnings about known faults of a release of SpiceDB.

    ``SpiceDBProps.accept_advisories`` accepts one of them by its name.
    """
