"""The exit codes of the commands. The help of each command and the page of the command line are made from these."""

from __future__ import annotations

from collections.abc import Mapping

DONE, NO, USAGE, PROBLEM, STOPPED, UNANSWERED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EXIT_CODES: Mapping[int, str] = {
    DONE: "the command is done, or the answer is yes",
    NO: "the answer is no, or the input was refused; nothing was changed",
    USAGE: "wrong usage",
    PROBLEM: "a difference or a problem was found, or a step failed and was rolled back",
    STOPPED: "something was changed, and the command could not finish",
    UNANSWERED: "the cluster or SpiceDB could not be asked; nothing was changed",
    INTERRUPTED: "interrupted with Ctrl-C, SIGTERM or SIGHUP",
}
"""What each code means. A command can say it more precisely in its own help."""
ALWAYS = (USAGE, INTERRUPTED)
"""Codes that every command has."""
ASKS: Mapping[int, str] = {UNANSWERED: EXIT_CODES[UNANSWERED]}
"""The code of commands that ask a cluster or a SpiceDB, in addition to their own codes."""


def codes_of(own: Mapping[int, str]) -> dict[int, str]:
    """All codes of a command in their order: its own, and those that every command has."""
    return dict(sorted({**{code: EXIT_CODES[code] for code in ALWAYS}, **own}.items()))
