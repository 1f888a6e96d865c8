"""The exit codes of the commands. The help of each command and the page of the command line are made from these."""

from __future__ import annotations

from collections.abc import Mapping

DONE, NO, USAGE, PROBLEM, STOPPED, UNANSWERED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EXIT_CODES: Mapping[int, str] = {
    DONE: "the command succeeded, or all is well",
    NO: "the command refused or failed, or something is wrong; only `restore` and `repair` may have changed something",
    USAGE: "wrong usage",
    PROBLEM: "the command found a difference or a problem, or a step failed and was rolled back",
    STOPPED: "the command changed something, but could not finish",
    UNANSWERED: "the cluster or SpiceDB did not answer, or denied access; nothing was changed",
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


VARIABLES: Mapping[str, str] = {
    "KUBECONFIG": "kubeconfig files, as for kubectl; `--kubeconfig` takes precedence",
    "SPICEDB_TOKEN": "preshared key of a SpiceDB that you name by its address, for `backup`, `restore` and `compare`",
    "NO_COLOR": "if set, the output has no colors. Output that does not go to a terminal never has colors",
    "COLUMNS": "width of the output, instead of that of the terminal",
    "TMPDIR": "folder for the private copy of the kubeconfig and other temporary files",
    "CDK8S_SPICEDB_DEBUG": "if set, an unexpected error shows its traceback",
}
"""The environment variables that the commands read."""
