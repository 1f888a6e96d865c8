"""The settings of files: their classes in groups, their paths, and their types and defaults in the words of YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, cast

import attrs
import yaml
from attrs import evolve, frozen

import cdk8s_spicedb as api
from cdk8s_spicedb.files.read import Destination, in_yaml
from cdk8s_spicedb.files.schema import for_files
from cdk8s_spicedb.props import fieldtypes
from cdk8s_spicedb.props.datastores import ENGINES, sql
from cdk8s_spicedb.props.fields import MemberOf, PropsOf, camel, fields_of, settings
from cdk8s_spicedb.props.fieldtypes import FieldType
from cdk8s_spicedb.props.jobs import ClientProps

Kind = Any
"""A class of props."""
Field = Any
"""An `attrs.Attribute`, whose stubs lack ``inherited``."""


@frozen
class Group:
    """A page with classes that belong together."""

    page: str
    """Name of the page."""
    title: str
    text: str
    kinds: tuple[Kind, ...]
    """The classes, in the order of the page."""


GROUPS = (
    Group(
        "spicedb",
        "The whole SpiceDB",
        "These keys are at the top of `spicedb.yaml`.",
        (api.SpiceDBProps, Destination, api.Patch, api.PatchOperation, api.UpgradeBackup),
    ),
    Group(
        "datastore",
        "Datastores",
        "The database is under `datastore`. Its `engine` decides which other keys there are.",
        (
            *(api.Datastore, api.PostgreSQL, api.CockroachDB, api.MySQL, api.Spanner, api.Memory),
            *(sql.SQLDatastore, sql.LibpqDatastore, sql.ReplicatedDatastore),
            *(api.Pool, api.RelationshipIntegrity, api.ExpiredIntegrityKey),
        ),
    ),
    Group(
        "server",
        "Servers",
        "The servers are under `server`.",
        (api.ServerProps, api.Autoscaling, api.Probe, api.TopologySpread),
    ),
    Group(
        "network",
        "Network",
        "How clients outside the cluster reach the servers, and who may connect to the pods.",
        (api.ExternalService, api.Ingress, api.GRPCRoute, api.NetworkPolicies, api.NetworkPeer, api.Egress),
    ),
    Group(
        "pods",
        "Pods",
        "All pods have these settings: set them once under `pods`, or for one kind of pod.",
        (api.PodSettings, api.Resources, api.Toleration),
    ),
    Group(
        "jobs",
        "Migration, clean-up, schema, test and backup",
        "Everything that runs in a Job.",
        (api.MigrationProps, api.CleanupProps, api.SchemaProps, api.PermissionTest, api.BackupProps, ClientProps),
    ),
    Group(
        "monitoring",
        "Monitoring and tracing",
        "Objects for Prometheus and Grafana, and traces of requests.",
        (api.Monitoring, api.PodMonitor, api.Alerts, api.Dashboard, api.Tracing),
    ),
    Group(
        "secrets",
        "Secrets and certificates",
        "A file names the Secrets and never contains their values.",
        (api.SecretKey, api.ConfigMapKey, api.TLS, api.DispatchTLS),
    ),
    Group(
        "metadata",
        "Metadata of a chart",
        "These keys are not for `spicedb.yaml`. They are for the file of `--chart-metadata`.",
        (api.ChartMetadata, api.Maintainer, api.ChartLink, api.ChartChange, api.SignKey),
    ),
)
KINDS = tuple(kind for group in GROUPS for kind in group.kinds)
"""The classes of all groups."""
_TITLES = {
    "Destination": "Namespace and context",
    "ClientProps": "Jobs that connect to SpiceDB",
    "SQLDatastore": "All SQL engines",
    "LibpqDatastore": "PostgreSQL and CockroachDB",
    "ReplicatedDatastore": "PostgreSQL and MySQL",
}
_UNITS = ((3600, "h"), (60, "m"), (1, "s"))
_MANY = 8
"""A class with this many places or more does not name them."""


def title(kind: Kind) -> str:
    """The heading of a class."""
    name: str = kind.__name__
    return _TITLES.get(name, name)


def _settings(kind: Kind) -> Sequence[Field]:
    return settings(kind)


def own_settings(kind: Kind) -> list[Field]:
    """The settings that a class declares itself."""
    return [field for field in _settings(kind) if not field.inherited]


def inherited_from(kind: Kind) -> list[Kind]:
    """The classes whose settings a class also has."""
    return list(dict.fromkeys(owner_of(kind, field.name) for field in _settings(kind) if field.inherited))


def only_in_python(kind: Kind) -> list[Field]:
    """The props that a class declares itself, and that files cannot set."""
    return [field for field in attrs.fields(kind) if not field.inherited and field not in settings(kind)]


def owner_of(kind: Kind, name: str) -> Kind:
    """The class that declares a setting of a class."""
    return next(each for each in kind.__mro__ if name in {field.name for field in own_settings(each)})


def anchor(kind: Kind, name: str = "") -> str:
    """The anchor of a class on its page, or of one of its settings."""
    head = title(kind).lower().replace(" ", "-")
    return f"{head}-{camel(name).lower()}" if name else head


def link(kind: Kind, name: str = "", *, folder: str = "") -> str:
    """The link to a class, or to one of its settings. ``folder`` is the path to the pages of the groups."""
    page = next(group.page for group in GROUPS if kind in group.kinds)
    return f"{folder}{page}.md#{anchor(kind, name)}"


def with_value(props: Any, path: str, value: Any) -> Any:
    """Props with another value of the setting at a path, such as ``server.ingress``."""
    name, _, deeper = path.partition(".")
    return evolve(props, **{name: with_value(getattr(props, name), deeper, value) if deeper else value})


# ---------------------------------------------------------------- paths in files


@cache
def paths() -> Mapping[Kind, tuple[str, ...]]:
    """Where a file has the settings of each class, such as ``server.ingress``."""
    found: dict[Kind, dict[str, None]] = {}
    roots = (api.SpiceDBProps, api.ChartMetadata)
    for path, kind in (each for root in roots for each in _walk(root, "")):
        for each in kind.__mro__:
            if attrs.has(each):
                found.setdefault(each, {})[path] = None
    found[Destination] = {"": None}
    return {kind: tuple(found[kind]) for kind in found}


def places(kind: Kind) -> str:
    """Where a file has the settings of a class, as text. Empty at the top of a file, and if there are many places."""
    found = [path.replace("[]", "") for path in paths().get(kind, ()) if path]
    return ", ".join(f"`{path}`" for path in dict.fromkeys(found)) if len(found) < _MANY else ""


def _walk(kind: Kind, path: str) -> Iterator[tuple[str, Kind]]:
    yield path, kind
    for field in settings(kind):
        for inner, end in kinds_in(fields_of(kind)[field.name]):
            yield from _walk(inner, f"{path}.{camel(field.name)}{end}".removeprefix("."))


def kinds_in(type_: FieldType, end: str = "") -> Iterator[tuple[Kind, str]]:
    """The classes in a type, each with the end of its path."""
    match type_:
        case MemberOf():
            yield from ((engine, end) for engine in ENGINES.values())
        case PropsOf(kind=kind):
            yield kind, end
        case fieldtypes.AnyOf(options=options):
            for option in options:
                yield from kinds_in(option, end)
        case fieldtypes.SequenceOf(item=item):
            yield from kinds_in(item, f"{end}[]")
        case fieldtypes.MappingOf(item=item):
            yield from kinds_in(item, f"{end}.NAME")
        case fieldtypes.Nullable(item=item) | fieldtypes.Limited(base=item):
            yield from kinds_in(item, end)


# ---------------------------------------------------------------- words of YAML


def type_in_words(type_: FieldType) -> str:
    """A type in the words of a reader of YAML."""
    match type_:
        case fieldtypes.Nullable(item=item):
            return type_in_words(item)
        case fieldtypes.AnyOf(options=options):
            return " or ".join(map(type_in_words, options))
        case fieldtypes.SequenceOf(item=item):
            words = type_in_words(item)
            return "list of " + re.sub("^(text|number|duration|mapping)", r"\1s", words)
        case fieldtypes.MappingOf(key=key, item=item):
            return f"mapping of {type_in_words(key).removeprefix('one of ')} to {type_in_words(item)}"
        case fieldtypes.Choice(texts=texts):
            return f"{'one of ' if len(texts) > 1 else ''}{', '.join(f'`{text}`' for text in texts)}"
        case PropsOf(kind=kind):
            return f"[{kind.__name__}]({link(kind)})"
        case fieldtypes.Limited(base=base):
            return _limited(base, in_yaml(type_.allowed))
    return _plain(type_)


def _limited(base: FieldType, allowed: str) -> str:
    """A type with limits, in words. ``allowed`` is what messages say of it."""
    words = type_in_words(base)
    if words.startswith("number") and re.match("a (whole )?number (of|from|, )|a (whole )?number,? [0-9]", allowed):
        words = re.sub("^a (?:whole )?", "", allowed)
        return re.sub(r"\d{5,}", lambda found: f"{int(found[0]):,}", words)
    if words == "duration" and (ends := re.findall(r"([\d.e+]+) s\b", allowed)):
        return f"duration from {' to '.join(duration(timedelta(seconds=float(end))) for end in ends)}"
    if words == "text" and ("a Kubernetes quantity" in allowed or "a size of a volume" in allowed):
        return "quantity"
    is_of_kubernetes = words == "any value" and allowed and "manifest can hold" not in allowed
    if is_of_kubernetes:
        return "mapping, as in a manifest"
    return f"{words.removesuffix(' or text')} or a percentage such as `25%`" if "percentage" in allowed else words


def _plain(type_: FieldType) -> str:
    words = {"a text": "text", "true or false": "`true` or `false`", "a duration": "duration", "": "any value"}
    allowed = in_yaml(type_.allowed)
    return words.get(allowed) or ("time" if "datetime" in allowed else "number")


def duration(value: timedelta) -> str:
    """A duration as files write it."""
    seconds = value.total_seconds()
    count, unit = next(((seconds / each, unit) for each, unit in _UNITS if seconds and not seconds % each), (0, ""))
    return f"{count:g}{unit}" if unit else f"{seconds * 1000:g}ms" if seconds else "0s"


def in_file(value: Any) -> Any:
    """A value of Python as files have it. Of props, only what differs from the defaults."""
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {name: in_file(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [in_file(item) for item in value]
    kind: Kind = type(value)
    if attrs.has(kind):
        return {
            camel(field.name): in_file(found)
            for field in settings(kind)
            if (found := getattr(value, field.name)) != field.default
        }
    return value


def flow(value: Any, *, inside: bool = False) -> str:
    """A value as YAML in one line, in the style of the documentation. ``inside`` is for parts of a value."""
    if isinstance(value, Mapping):
        return (
            f"{{{', '.join(f'{flow(name, inside=True)}: {flow(item, inside=True)}' for name, item in value.items())}}}"
        )
    if isinstance(value, list):
        return f"[{', '.join(flow(item, inside=True) for item in value)}]"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    text = yaml.safe_dump([value], default_flow_style=False, width=10_000, allow_unicode=True)[2:-1]
    is_quoted = text.startswith(("'", '"')) or (inside and isinstance(value, str) and re.search(r"[,{}\[\]]", value))
    return json.dumps(value, ensure_ascii=False) if is_quoted else text


def default_of(field: Field) -> str:
    """The default of a setting as YAML. Empty if there is none, or if it depends on other settings."""
    if field.default is attrs.NOTHING or isinstance(field.default, cast(Any, attrs.Factory)):
        return ""
    value = in_file(field.default)
    return "" if value in (None, [], {}) else flow(value)


def in_words_of_files(docstring: str) -> str:
    """A docstring in the words of files: ``ServerProps.log_level`` is ``server.logLevel``."""

    def path(found: re.Match[str]) -> str:
        kind = getattr(api, found[1], None)
        where = paths().get(kind, ()) if kind else ()
        return f"{where[0]}.{found[2]}".removeprefix(".") if where else found[0]

    text = re.sub(r"(``SpiceDBProps\.[a-z_]+``)", r"\1 at the top of the file", docstring)
    text = re.sub(r"Delivery\.([A-Z]+)", lambda found: f"delivery: {found[1].lower()}", text)
    text = re.sub(r"\b([A-Z]\w+)\.([a-z_]+)\b(?!\()", path, text)
    return mappings_in_yaml(for_files(text))


def mappings_in_yaml(text: str) -> str:
    """A text with its mappings in the YAML style of the documentation."""
    return re.sub(r"`(\{[^{}`]*\})`", lambda found: f"`{flow(yaml.safe_load(found[1]))}`", text)
