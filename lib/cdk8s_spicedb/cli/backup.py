"""``cdk8s-spicedb backup``, ``restore`` and ``compare``: what a SpiceDB holds, and how it answers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import evolve, frozen
from authzed.api.v1 import Relationship

from ..errors import SpiceDBError
from ..files.read import Destination
from ..live.data.assertions import asserted
from ..live.data.backup import back_up
from ..live.data.compare import Comparison, compare
from ..live.data.file import beside
from ..live.data.lookups import different_lookups, look_up
from ..live.data.questions import Question, looked_up, questions, sample
from ..live.data.reach import reaching
from ..live.data.restore import restore
from ..live.data.server import RequestError, Server, Trust
from ..live.poll import sometimes
from ..text import count
from .destination import connect
from .files import read_release
from .options import read
from .output import DATA, as_data, say, say_error

_TOKEN = "SPICEDB_TOKEN"
_DIFFERENT = 3
"""The exit code of `compare` if an answer differs."""


@frozen(kw_only=True)
class RestoreReport:
    """What a SpiceDB or a file holds."""

    relationships: int
    """Number of relationships."""
    counts: Mapping[str, int]
    """Number of relationships of each relation, by names such as ``document#reader``."""
    digest: str
    """Digest of all relationships: the sum of their SHA-256, in hexadecimal digits. It does not depend on their
    order."""


@frozen(kw_only=True)
class BackupReport(RestoreReport):
    """A backup that is complete."""

    file: str
    """Path of the file."""
    token: str
    """ZedToken of the revision at which schema and relationships were read."""


@frozen(kw_only=True)
class CompareReport:
    """How two SpiceDBs answered."""

    asked: int
    """Number of questions."""
    answers: Mapping[str, int]
    """How often the first SpiceDB gave each answer, by answers such as ``yes`` and ``no``."""
    differences: Sequence[str]
    """How the answers and lookups of the second one differ, in words. The exit code is 3 if there are some."""


def run(options: argparse.Namespace) -> int:
    """Runs one of the commands."""
    return {"backup": _backup, "restore": _restore, "compare": _compare}[options.command](options)


def _backup(options: argparse.Namespace) -> int:
    path = Path(options.path)
    with _server(options, *_named(options)) as server:
        try:
            made = back_up(server, path, notify=_progress())
        except RequestError as error:
            more = "; run the same command again to continue" if beside(path, "partial").exists() else ""
            failed = SpiceDBError(f"{error}{more}")
            failed.unanswered = error.unanswered
            raise failed from None
    if options.output in DATA:
        say(as_data(BackupReport(file=str(made.path), token=made.head.token, **made.summary.json()), options.output))
    else:
        say(f"Wrote {made.path}: {count(made.summary.total, 'relationship')}, digest {made.summary.digest[:16]}.")
    return 0


def _restore(options: argparse.Namespace) -> int:
    name, destination = _named(options)
    with _server(options, name, destination) as server:
        held = restore(Path(options.path), server, go_on=options.go_on, notify=_progress())
    if options.output in DATA:
        say(as_data(RestoreReport(**held.json()), options.output))
    else:
        restored = count(held.total, "relationship")
        say(f"Restored {restored}. {name} now has the same data as {options.path}.")
    return 0


def _compare(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        first, second = (stack.enter_context(_server(options, name)) for name in (options.first, options.second))
        more = [each for path in options.assertions or () for each in asserted(read(path), path)]
        asked, token = _questions((first, second), options.questions, more)
        compared = compare(first, second, asked, token)
        found = [*different_lookups(look_up(first, compared.granted, token), second)]
    differences = [*evolve(compared, lookups=found).lines()]
    if options.output in DATA:
        say(
            as_data(
                CompareReport(asked=compared.asked, answers=compared.answers, differences=differences), options.output
            )
        )
    else:
        say("\n".join(_lines(options.first, compared, differences)))
    return _DIFFERENT if differences else 0


def _lines(first: str, compared: Comparison, differences: Sequence[str]) -> Iterator[str]:
    counts = ", ".join(f"{number:,} {answer}" for answer, number in compared.answers.most_common())
    yield f"Asked both {count(compared.asked, 'question')}. {first} answered: {counts}."
    if compared.never_yes:
        yield f"No answer was yes, so this comparison says little about: {', '.join(compared.never_yes)}"
    yield from differences or ["All answers are equal."]


def _questions(servers: Sequence[Server], number: int, more: Sequence[Question]) -> tuple[list[Question], str]:
    """More questions, and questions about what each of two SpiceDBs holds; and the ZedToken of the first."""
    schemas = [server.schema() for server in servers]
    found = list(more)
    # The second one answers with its newest data.
    for server, (schema, token) in zip(servers, (schemas[0], (schemas[1][0], "")), strict=True):
        some = _sample(server, token, number) if schema else []
        found += questions(some, schema, (number + 1) // 2, looked_up(server, some, schema, token))
    asked = list(dict.fromkeys(found))[: max(number, len(more))]
    if not asked:
        raise SpiceDBError("there is nothing to ask: neither of them has relationships")
    return asked, schemas[0][1]


def _sample(server: Server, token: str, size: int) -> list[Relationship]:
    return sample((each for page in server.export(token) for each in page.relationships), size)


def _progress() -> Callable[[int], None]:
    return sometimes(lambda number: say_error(f"{number:,} relationships"))


def _named(options: argparse.Namespace) -> tuple[str, Destination | None]:
    """NAME, or that in ``--file``, which also says where the SpiceDB belongs."""
    if options.file:
        props, destination = read_release(options)
        return props.name, destination
    if options.name is None:
        options.usage("give the name of the SpiceDB, or use --file")
    return str(options.name), None


@contextmanager
def _server(options: argparse.Namespace, name: str, destination: Destination | None = None) -> Iterator[Server]:
    """A SpiceDB: by its address, if it has a colon, or else by the name of its Deployment."""
    if ":" not in name:
        with reaching(connect(options, destination), name) as server:
            yield server
        return
    if _TOKEN not in os.environ:
        raise SpiceDBError(f"set the variable {_TOKEN} to the preshared key of {name}")
    trust = Trust(_certificates(Path(options.ca))) if options.ca else None
    yield Server.connect(name, os.environ[_TOKEN], trust=trust)


def _certificates(path: Path) -> bytes:
    found = path.read_bytes()
    if b"BEGIN CERTIFICATE" not in found:
        raise SpiceDBError(f"{path} has no certificate in PEM format; name the CA of the server with --ca")
    return found
