"""The types that several props share: each with its limits, and what errors say about it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Annotated, Any, Literal

from annotated_types import Interval, Predicate, Unit

from ..labels import CHECKSUM, LONGEST_NAME, OF_HOOKS, RESERVED
from ..versions import VERSION
from .fields import Excluding, Message, OneOf, Pattern
from .flags import DATASTORE_URI, PRESHARED_KEY, REPLICA_URI, Flag

_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_QUALIFIED = rf"({_NAME}/)?[A-Za-z0-9]([-._A-Za-z0-9]{{0,61}}[A-Za-z0-9])?"
_TAG, _DIGEST = r":[A-Za-z0-9_][-.A-Za-z0-9_]{0,127}", r"@sha256:[0-9a-f]{64}"
_REPOSITORY = r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?(:\d+)?(/[a-z0-9]+([-._]+[a-z0-9]+)*)*"

# ---------------------------------------------------------------- numbers and times

Count = Annotated[int, Interval(ge=1, le=1000)]
Port = Annotated[int, Interval(ge=1, le=65535)]
PodPort = Annotated[int, Interval(ge=1024, le=65535)]
"""A port on which a program listens without special rights."""
Percent = Annotated[int, Unit("percent"), Interval(ge=1, le=1000)]
Fraction = Annotated[float, Interval(ge=0, le=1), Message(fix="use 0.1 for a tenth")]
Seconds = Annotated[int, Unit("seconds"), Interval(ge=1, le=86400)]
"""Up to a day."""
Hour = Annotated[timedelta, Interval(ge=timedelta(seconds=1), le=timedelta(hours=1))]
Day = Annotated[timedelta, Interval(ge=timedelta(seconds=1), le=timedelta(days=1))]
Week = Annotated[timedelta, Interval(ge=timedelta(seconds=1), le=timedelta(days=7))]
"""A duration from a second up to an hour, a day, a week."""

# ---------------------------------------------------------------- names in Kubernetes

ReleaseName = Annotated[
    str,
    Pattern(
        r"[a-z]([-a-z0-9]*[a-z0-9])?",
        f"lower-case letters, digits and '-', beginning with a letter, at most {LONGEST_NAME}",
        max_length=LONGEST_NAME,
    ),
    Message(fix="shorten or rename it: the Service has this name, and the Jobs have it with a suffix"),
]
ObjectName = Annotated[str, Pattern(_NAME, "the name of an object", "use the name of an existing object")]
SecretName = Annotated[
    str,
    Pattern(_NAME, "the name of a Secret: lower-case letters, digits, '-' and '.', at most 253"),
    Message(fix="use the name of a Secret in the release's namespace", redacted=True),
]
SecretItem = Annotated[
    str,
    Pattern(r"[-._a-zA-Z0-9]+", "a key of that Secret: letters, digits, '-', '_' and '.', at most 253"),
    Message(fix="use the key under which the Secret holds the value, not the value itself", redacted=True),
]
ConfigMapName = Annotated[
    str,
    Pattern(_NAME, "the name of a ConfigMap", "use the name of a ConfigMap in the release's namespace"),
]
ConfigMapItem = Annotated[
    str, Pattern(r"[-._a-zA-Z0-9]+", "a key of that ConfigMap", "use the key under which it holds the value")
]
StorageClassName = Annotated[
    str, Pattern(_NAME, "the name of a StorageClass", "use one that `kubectl get storageclass` lists")
]
PriorityClassName = Annotated[
    str, Pattern(_NAME, "the name of a PriorityClass", "use one of the cluster, such as 'system-cluster-critical'")
]
_LabelKey = Annotated[
    str, Pattern(_QUALIFIED, "keys ([prefix/]name)", "use keys such as 'team' or 'example.com/team'", max_length=317)
]
_LabelValue = Annotated[
    str,
    Pattern(
        r"([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?",
        "a label value: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        max_length=63,
    ),
    Message(fix="shorten it or replace the other characters; use an annotation for longer texts"),
]
_AnnotationValue = Annotated[str, Message(fix="quote numbers and booleans: annotation values are texts")]
NodeLabel = Annotated[
    str,
    Pattern(rf"({_NAME}/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?", "a label of nodes", max_length=317),
    Message(fix="use a label such as 'topology.kubernetes.io/zone'"),
]
Selector = Mapping[_LabelKey, _LabelValue]
Labels = Mapping[Annotated[_LabelKey, Excluding(RESERVED)], _LabelValue]
"""Labels other than those that selectors are made of."""
Annotations = Mapping[Annotated[_LabelKey, Excluding(OF_HOOKS)], _AnnotationValue]
"""Annotations other than those that make an object a hook."""
PodAnnotations = Mapping[Annotated[_LabelKey, Excluding((CHECKSUM,))], _AnnotationValue]


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def not_of_yaml(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """The parts of a value that manifests cannot hold, each with its path: dates, for example, or keys that are no
    texts."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from not_of_yaml(inner, f"{path}.{key}") if isinstance(key, str) else [(f"{path} (key)", key)]
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from not_of_yaml(inner, f"{path}[{number}]")
    elif not isinstance(value, (str, int, float, NoneType)) or (isinstance(value, float) and not isfinite(value)):
        yield path, value


Affinity = Mapping[
    Annotated[str, OneOf(("nodeAffinity", "podAffinity", "podAntiAffinity"))],
    Annotated[Any, Predicate(_is_object), Message("an object", "write it as in a manifest, in Kubernetes' own names")],
]
Quantity = Annotated[
    str,
    Pattern(r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?", "a Kubernetes quantity, such as '250m' or '512Mi'", numbers=True),
    Message(fix="use '500m' for half a core, or '512Mi' for memory"),
]
Amounts = Mapping[Annotated[str, OneOf(("cpu", "memory", "ephemeral-storage"))], Quantity]
_UNITS = {
    "": Decimal(1),
    **{unit: Decimal(10) ** power for unit, power in {"n": -9, "u": -6, "m": -3, "k": 3}.items()},
    **{unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_AMOUNT = re.compile(rf"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d\d?)?)({'|'.join(_UNITS)})")


def parse_quantity(quantity: str) -> Decimal:
    """The number that a quantity of Kubernetes stands for: of cores, bytes or objects.

    Takes every form that the API server returns. Raises `ValueError` for another text.
    """
    found = _AMOUNT.fullmatch(quantity)
    if found is None:
        raise ValueError(f"not a quantity: {quantity[:50]!r}")
    return Decimal(found[1]) * _UNITS[found[2]]


StorageSize = Annotated[
    str,
    Pattern(r"[1-9]\d*(\.\d+)?(Mi|Gi|Ti|Pi|M|G|T|P)", "a size of a volume, such as '10Gi'"),
    Message(fix="use a number with its unit: Mi, Gi, Ti or Pi"),
]

PullPolicy = Literal["Always", "IfNotPresent", "Never"]

# ---------------------------------------------------------------- images and programs

_USE_AN_IMAGE = Message(fix="use 'registry.example.com/team/image:tag' or '…@sha256:' and 64 hexadecimal digits")
Image = Annotated[
    str,
    Pattern(
        f"{_REPOSITORY}({_TAG})?({_DIGEST})?", "an image reference, with or without tag and digest", max_length=500
    ),
    _USE_AN_IMAGE,
]
PinnedImage = Annotated[
    str,
    Pattern(f"{_REPOSITORY}(({_TAG})?({_DIGEST})|{_TAG})", "an image reference with a tag or a digest", max_length=500),
    _USE_AN_IMAGE,
]
EnvName = Annotated[
    str, Pattern(r"[A-Za-z_][A-Za-z0-9_]*", "the names of environment variables", "use names such as 'GOMAXPROCS'")
]
_SECRET_FLAGS = "|".join(f"--{flag}" for flag in (PRESHARED_KEY, DATASTORE_URI, REPLICA_URI))
Argument = Annotated[
    str,
    Pattern(
        rf"(?!{_SECRET_FLAGS})--[\s\S]*",
        "an argument such as '--dispatch-max-depth=100', which contains no secret",
        max_length=100_000,
    ),
    Message(fix="use '--flag=value'; put secrets into {preshared_key}, datastore and env", redacted=True),
]
Version = Annotated[
    str, Pattern(VERSION, "a release of SpiceDB, such as v1.56.0", "use its release tag, with the leading 'v'")
]
LogLevel = Annotated[Literal["trace", "debug", "info", "warn", "error"], Flag("log-level")]
Revision = Annotated[
    str,
    Pattern(r"[A-Za-z0-9][-_A-Za-z0-9]*", "the name of a migration revision"),
    Message(fix="use its name in SpiceDB, such as 'add-caveats'"),
]

# ---------------------------------------------------------------- addresses


def is_host(value: str) -> bool:
    """Whether a text is a DNS name or an IP address."""
    try:
        return ipaddress.ip_address(value) is not None and "%" not in value
    except ValueError:
        return len(value) <= 253 and re.fullmatch(r"[A-Za-z0-9_]([-.\w]*[A-Za-z0-9_])?", value, re.ASCII) is not None


def _is_block(value: str) -> bool:
    try:
        return "/" in value and ipaddress.ip_network(value) is not None
    except ValueError:
        return False


Host = Annotated[
    str,
    Predicate(is_host),
    Message(
        "a DNS name or an IP address",
        "use only the host: port, user and database have fields of their own",
        redacted=True,
    ),
]
HostPort = Annotated[
    str,
    Pattern(r"[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?:\d{1,5}", "HOST:PORT"),
    Message(fix="use an address such as 'emulator:9010'"),
]
DNSName = Annotated[str, Pattern(_NAME, "a DNS name", "use a name such as 'spicedb.authz.svc'")]
PublicName = Annotated[
    str,
    Pattern(rf"(\*\.)?{_NAME}", "a DNS name, which may begin with '*.'", "use a name such as 'spicedb.example.com'"),
]
Block = Annotated[
    str, Predicate(_is_block), Message("a block of addresses", "use '10.0.0.0/8', or '10.0.0.7/32' for one address")
]
