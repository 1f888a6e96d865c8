"""The commands ``help`` and ``completion``."""

from __future__ import annotations

from ..exits import DONE, NO
from ..options import Commands, add_command
from ..parser import Parser

SHELLS = ("bash", "zsh", "fish")
_PAGE = "reference/cli"


def add_help(commands: Commands) -> Parser:
    """Adds ``help``."""
    parser = add_command(
        commands,
        "help",
        "print the help of a command",
        "Prints the help of a command, or the list of all commands.",
        examples={"help upgrade": "The same as upgrade --help"},
        codes={DONE: "the help is printed"},
        page=_PAGE,
    )
    parser.add_argument("about", nargs="?", metavar="COMMAND", help="command; without it, lists all commands")
    return parser


def add_completion(commands: Commands) -> Parser:
    """Adds ``completion``."""
    parser = add_command(
        commands,
        "completion",
        "print a script that completes commands and options in a shell",
        "Prints a script for your shell, which then completes commands, options and their values when you press Tab.",
        examples={
            "completion bash > ~/.local/share/bash-completion/completions/cdk8s-spicedb": "Install it for bash",
            'completion zsh > "${fpath[1]}/_cdk8s-spicedb"': "Install it for zsh",
            "completion fish > ~/.config/fish/completions/cdk8s-spicedb.fish": "Install it for fish",
        },
        codes={DONE: "the script is printed", NO: "there is an error (see stderr)"},
        page=_PAGE,
    )
    text = f"shell: {', '.join(SHELLS)}"
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=text)
    return parser
