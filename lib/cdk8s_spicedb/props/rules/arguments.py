"""Arguments and variables of the user: those that contradict what this package sets, and those that SpiceDB lacks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from attrs import frozen

from ...errors import Problem
from ...versions import Command, known_flags
from ..datastores import Datastore
from ..fields import Problems, Rules
from ..fieldtypes import redact, show
from ..flags import DATASTORE_URI, ENGINE, TERMINATION_LOG, flags_of, variable_name
from ..jobs import MigrationProps
from ..pod import PodSettings
from ..server import LOG_FORMAT, ServerProps
from ..spicedb import SpiceDBProps

PREFIX = variable_name("")
COMMANDS: Mapping[str, Command] = {"server": "serve", "migration": "migrate"}
"""The command of SpiceDB that each part runs."""
WITHOUT_PROP = {
    TERMINATION_LOG: "the status of the pods shows this file",
    "help": "SpiceDB prints its help and stops",
    "grpc-enabled": "probes and Services need gRPC",
    "grpc-network": "probes and Services need TCP",
    "http-network": "the Services need TCP",
    "dispatch-cluster-addr": "servers find each other at this port",
    "dispatch-cluster-network": "servers find each other by TCP",
}
"""Flags that no prop sets, and why they must not change."""


@frozen
class UserFlag:
    """A flag of SpiceDB that the user sets beside the props."""

    path: str
    """Where: an item of ``extra_args`` or of ``env``."""
    flag: str
    shown: str
    """What errors show of it."""


def user_flags(props: ServerProps | MigrationProps) -> Iterator[UserFlag]:
    """The flags in ``extra_args`` and ``env``."""
    for number, argument in enumerate(props.extra_args):
        flag = argument[2:].partition("=")[0]
        yield UserFlag(f"extra_args[{number}]", flag, show(f"--{flag}"))
    for name, value in props.env.items():
        if name.startswith(PREFIX):
            flag = name.removeprefix(PREFIX).lower().replace("_", "-")
            yield UserFlag(f"env[{name}]", flag, redact(value))


def props_of_flags(part: str, server: ServerProps, datastore: type[Datastore]) -> Mapping[str, str]:
    """The props that set the flags of a part, ``server`` or ``migration``, by flag. Those of a flag are in one text."""
    found: dict[str, list[str]] = {}
    kind = ServerProps if part == "server" else MigrationProps
    for owner, props in ((part, kind), ("datastore", datastore), ("", SpiceDBProps)):
        for path, flags in flags_of(props).items():
            for flag in flags:
                # With the prop on, the package leaves the flag alone.
                free = flag.inverse and getattr(server, path)
                shared = owner != "datastore" or part == "server" or flag.env or flag.name == DATASTORE_URI
                if shared and not free:
                    found.setdefault(flag.name, []).append(f"{{{f'{owner}.{path}' if owner else path}}}")
    common = {ENGINE: ["datastore"]}
    if part == "migration":
        common[LOG_FORMAT] = ["{server.log_format}"]
        telemetry = flags_of(ServerProps)["telemetry_enabled"]
        common |= {flag.name: ["{server.telemetry_enabled}"] for flag in telemetry if not server.telemetry_enabled}
    return {flag: " or ".join(dict.fromkeys(props)) for flag, props in {**common, **found}.items()}


def _given(
    datastore: Datastore, server: ServerProps, migration: MigrationProps
) -> Iterator[tuple[str, UserFlag, Mapping[str, str]]]:
    """The flags that the user sets, each with its part, and with the props of all flags of this part."""
    parts: Mapping[str, ServerProps | MigrationProps] = {"server": server, "migration": migration}
    for part, props in parts.items():
        found = list(user_flags(props))
        # Most users set none, and to collect the props of all flags takes time.
        owners = props_of_flags(part, server, type(datastore)) if found else {}
        yield from ((part, user, owners) for user in found)


def no_flag_is_set_twice(datastore: Datastore, server: ServerProps, migration: MigrationProps) -> Problems:
    for part, user, owners in _given(datastore, server, migration):
        if user.flag in owners:
            fix = f"remove it, and use {owners[user.flag]}"
            yield Problem(f"{part}.{user.path}", user.shown, "flags that no prop sets", fix)
        elif user.flag in WITHOUT_PROP:
            allowed = f"flags other than --{user.flag}: {WITHOUT_PROP[user.flag]}"
            yield Problem(f"{part}.{user.path}", user.shown, allowed, "remove it")


def pods_have_no_flags(pods: PodSettings) -> Problems:
    """A variable of SpiceDB is a flag, and each command has flags of its own."""
    for name, value in pods.env.items():
        if name.startswith(PREFIX):
            allowed = f"variables without the prefix {PREFIX}, which servers and migration read as flags"
            yield Problem(f"pods.env[{name}]", redact(value), allowed, "set it in server.{env} or migration.{env}")


def flags_exist(version: str, datastore: Datastore, server: ServerProps, migration: MigrationProps) -> Problems:
    for part, user, known in _missing(version, datastore, server, migration):
        if known is False:
            allowed = f"flags of `spicedb {COMMANDS[part]}` at version {version}"
            yield Problem(f"{part}.{user.path}", user.shown, allowed, _fix(COMMANDS[part], user, version))


def _fix(command: Command, user: UserFlag, version: str) -> str:
    table, flags = known_flags(), known_flags().commands[command]
    if user.flag in flags:
        first, last = flags[user.flag]
        span = first if first == last else f"{first} to {last}"
        return f"remove it, or use a release that has it (known: {span})"
    near = difflib.get_close_matches(user.flag, [flag for flag in flags if table.takes(command, flag, version)], 1, 0.7)
    if not near:
        return "remove it"
    return f"did you mean {variable_name(near[0]) if user.path.startswith('env') else f'--{near[0]}'}?"


def _missing(
    version: str, datastore: Datastore, server: ServerProps, migration: MigrationProps
) -> Iterator[tuple[str, UserFlag, bool | None]]:
    """The flags that no prop sets and a release may not have, each with its part and whether that is known."""
    for part, user, owners in _given(datastore, server, migration):
        known = known_flags().takes(COMMANDS[part], user.flag, version)
        if not known and user.flag not in owners and user.flag not in WITHOUT_PROP:
            yield part, user, known


def flag_warnings(props: SpiceDBProps) -> Iterator[str]:
    """The warnings about flags that an unknown release may not have."""
    for part, user, known in _missing(props.version, props.datastore, props.server, props.migration):
        if known is None:
            path = re.sub(r"\[.*", "", user.path)
            yield (
                f"{part}.{path} sets --{user.flag}, which no known release has at {props.version}: the flags of this "
                f"release are not known (newest: {known_flags().newest}). `spicedb {COMMANDS[part]}` stops at an "
                "argument that it does not know, and ignores a variable."
            )


RULES: Rules = {
    SpiceDBProps: (
        no_flag_is_set_twice,
        pods_have_no_flags,
        flags_exist,
    ),
}
