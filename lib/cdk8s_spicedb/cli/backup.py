"""``cdk8s-spicedb backup``, ``restore`` and ``compare``: what a SpiceDB holds, and how it answers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from authzed.api.v1 import Relationship

from ..errors import SpiceDBError
from ..live.data.backup import back_up
from ..live.data.compare import compare
from ..live.data.questions import questions, sample
from ..live.data.reach import reaching
from ..live.data.restore import restore
from ..live.data.server import RequestError, Server, Trust
from ..live.poll import sometimes
from .destination import connect
from .output import as_json, say, say_error

_TOKEN = "SPICEDB_TOKEN"
_DIFFERENT = 3
"""The exit code of `compare` if an answer differs."""


def run(options: argparse.Namespace) -> int:
    """Runs one of the commands."""
    return {"backup": _backup, "restore": _restore, "compare": _compare}[options.command](options)


def _backup(options: argparse.Namespace) -> int:
    with _server(options, options.name) as server:
        try:
            made = back_up(server, Path(options.file), notify=_progress())
        except RequestError as error:
            raise SpiceDBError(f"{error}; run the same command again to continue") from None
    if options.output == "json":
        say(as_json({"file": str(made.path), "token": made.head.token, **made.summary.json()}))
    else:
        say(f"Wrote {made.path}: {made.summary.total:,} relationships, digest {made.summary.digest[:16]}.")
    return 0


def _restore(options: argparse.Namespace) -> int:
    with _server(options, options.name) as server:
        held = restore(Path(options.file), server, go_on=options.go_on, notify=_progress())
    say(f"Restored {held.total:,} relationships, and compared them with {options.file}: they are equal.")
    return 0


def _compare(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        first, second = (stack.enter_context(_server(options, name)) for name in (options.first, options.second))
        schema, token = first.schema()
        # What only one of them has shows in questions about its own relationships.
        found = [*_sample(first, token, options.questions), *_sample(second, "", options.questions)]
        asked = questions(found, schema, options.questions)
        compared = compare(first, second, asked, token)
    counts = ", ".join(f"{number:,} {answer}" for answer, number in compared.answers.most_common())
    say(f"Asked both {compared.asked:,} questions. {options.first} answered: {counts or 'nothing'}.")
    for line in compared.lines():
        say(line)
    if compared.differences:
        return _DIFFERENT
    say("All answers are equal.")
    return 0


def _sample(server: Server, token: str, size: int) -> list[Relationship]:
    return sample((each for page in server.export(token) for each in page.relationships), size)


def _progress() -> Callable[[int], None]:
    return sometimes(lambda number: say_error(f"{number:,} relationships"))


@contextmanager
def _server(options: argparse.Namespace, name: str) -> Iterator[Server]:
    """A SpiceDB: by its address, if it has a colon, or else by the name of its Deployment."""
    if ":" not in name:
        with reaching(connect(options), name) as server:
            yield server
        return
    if _TOKEN not in os.environ:
        raise SpiceDBError(f"set the variable {_TOKEN} to the preshared key of {name}")
    trust = Trust(Path(options.ca).read_bytes()) if options.ca else None
    yield Server.connect(name, os.environ[_TOKEN], trust=trust)
