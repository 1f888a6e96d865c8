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
    """Image with ``zed`` on its path, by tag or digest. Defaults to the official one, which has no shell."""
    ca: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret key with the CA certificates (PEM) that verify the certificate of gRPC, if gRPC has TLS
    (``--certificate-path``). Defaults to the public CAs in the image."""
    hostname: DNSName | None = None
    """DNS name that the certificate of gRPC must have (``--hostname-override``). Defaults to the Service's name."""
    active_deadline_seconds: Seconds = 300
    """Time limit of the Job, in seconds (``activeDeadlineSeconds``). With ``Delivery.KUBECTL`` the migration's time
    limit is added. Defaults to 300, enough for a few calls and the pull of an image."""
    resources: Resources = default_resources("10m", "32Mi", limits=("500m", "128Mi"))
    """Resources of the Job. Defaults to requests of 10m CPU, 32Mi memory and 64Mi disk for logs, and limits of 500m,
    128Mi and 1Gi."""


@frozen(kw_only=True)
class SchemaProps(ClientProps):
    """A SpiceDB schema that is written after each install and upgrade, when the servers are up.

    Do not let the servers load it with SpiceDB's bootstrap files: with a persistent datastore these stop the second
    server that starts, or delete all data. Writing the same schema again changes nothing. If a schema would orphan
    relationships, the servers reject it and the release fails with the reason.
    """

    text: _SchemaText
    """Text of the schema. Required."""


@frozen(kw_only=True)
class PermissionTest(ClientProps):
    """What ``helm test`` does: it checks permissions as clients do, on objects that do not exist.

    It makes enough checks that servers dispatch some of them to each other. Every check must be answered; the answer
    itself does not matter.
    """

    resource: _SchemaName
    """Resource type in the schema, such as ``document``. Required."""
    permission: _SchemaName
    """Permission of that type, such as ``read``. Required."""
    subject: _SchemaName
    """Subject type, such as ``user``. Required."""
    checks: Count = 16
    """Number of checks, each on another resource and from a pod of its own. Defaults to 16: with two servers, one run
    in 65,000 dispatches nothing."""
