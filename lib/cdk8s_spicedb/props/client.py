"""Jobs that are clients of the servers: one writes a schema, one tests permission checks."""

from __future__ import annotations

from typing import Annotated

from attrs import field, frozen

from .annotations import Message, Pattern
from .pod import PodProps, Resources, default_resources
from .secrets import SecretKey, as_secret_key
from .types import Count, DNSName, PinnedImage, Seconds

_SchemaName = Annotated[
    str,
    Pattern(
        r"([a-z][a-z0-9_]{1,61}[a-z0-9]/)*[a-z][a-z0-9_]{1,62}[a-z0-9]",
        "a name in the schema: lower-case letters, digits and '_'",
    ),
    Message(fix="use a name such as 'document'"),
]
_SchemaText = Annotated[
    str,
    Pattern(r"[\s\S]*\S[\s\S]*", "the schema, not empty", max_length=900_000),
    Message(fix="use its text, such as Path('schema.zed').read_text()"),
]


@frozen(kw_only=True)
class ClientProps(PodProps):
    """Settings of Jobs that connect to the servers."""

    image: PinnedImage = "ghcr.io/authzed/zed:v1.2.0"
    """Image with ``zed`` on its path, by tag or digest. Defaults to the official image, which has no shell."""
    ca: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the CA certificates (PEM) that verify the servers' gRPC certificate, if gRPC has TLS
    (``--certificate-path``). Defaults to the public CAs in the image."""
    hostname: DNSName | None = None
    """DNS name that the servers' gRPC certificate must have (``--hostname-override``). Defaults to the Service's
    name."""
    active_deadline_seconds: Seconds = 300
    """Time limit of the Job, in seconds (``activeDeadlineSeconds``). With ``Delivery.KUBECTL``, the Job also waits for
    the migration, so the migration's time limit is added. Defaults to 300, enough for a few calls and the pull of an
    image."""
    resources: Resources = default_resources("10m", "32Mi", limits=("500m", "128Mi"))
    """Resources of the Job. Defaults to requests of 10m CPU, 32Mi memory and 64Mi disk for logs, and limits of 500m
    CPU, 128Mi memory and 1Gi disk."""


@frozen(kw_only=True)
class SchemaProps(ClientProps):
    """A SpiceDB schema that a Job writes after each install and upgrade, when the servers are up.

    Do not let the servers load it with SpiceDB's bootstrap files. With a persistent datastore, these files stop the
    second server that starts, or delete all data. Writing the same schema again changes nothing. If relationships still
    use what a new schema no longer has, the servers reject that schema. The release then fails with the reason.
    """

    text: _SchemaText
    """Text of the schema. Required."""


@frozen(kw_only=True)
class PermissionTest(ClientProps):
    """A Job that ``helm test`` runs. It checks permissions as clients do, on objects that do not exist.

    It makes enough checks that servers dispatch some of them to each other. The test passes if every check gets an
    answer. It does not matter whether the answer is yes or no.
    """

    resource: _SchemaName
    """Resource type in the schema, such as ``document``. Required."""
    permission: _SchemaName
    """Permission of that type, such as ``read``. Required."""
    subject: _SchemaName
    """Subject type, such as ``user``. Required."""
    checks: Count = 16
    """Number of checks. Each one runs in a pod of its own and checks another resource. Defaults to 16: with two
    servers, only one run in 65,000 then dispatches nothing."""
