"""Jobs that are clients of the servers: one writes a schema, one tests that permissions can be checked."""

from __future__ import annotations

from attrs import field, frozen

from ..checks import optional, text, whole_number
from ..secret import SecretKey, as_secret_key, secret_key
from .image import image_check
from .pod import RESOURCES, PodProps, Resources, default_resources

_NAME = text(
    r"([a-z][a-z0-9_]{1,61}[a-z0-9]/)*[a-z][a-z0-9_]{1,62}[a-z0-9]",
    "a name of the schema: lower-case letters, digits and '_'",
    "write it as the schema does, such as 'document'",
)


@frozen(kw_only=True)
class ClientProps(PodProps):
    """What Jobs that talk to the servers have in common."""

    image: str = field(default="ghcr.io/authzed/zed:v1.2.0", metadata=image_check(complete=True))
    """An image whose program ``zed`` is on its path, by tag or digest. Default: the official one, which has no
    shell."""
    ca: SecretKey | None = field(default=None, converter=as_secret_key, metadata=optional(secret_key("the CA")))
    """The Secret key that holds the CA certificates (PEM) that gRPC's certificate is checked against, where gRPC has
    TLS (``--certificate-path``). Default: none, the public CAs in the image count."""
    hostname: str | None = field(
        default=None,
        metadata=optional(text(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", "a DNS name", "write 'spicedb.authz.svc'")),
    )
    """The name that gRPC's certificate is checked for (``--hostname-override``). Default: the Service's name."""
    active_deadline_seconds: int = field(default=300, metadata=whole_number(1, 86400, unit="seconds"))
    """When Kubernetes ends the Job, in seconds (``activeDeadlineSeconds``); with ``Delivery.KUBECTL`` the migration's
    time comes to it. Default: 300, for a few calls and the pull of an image."""
    resources: Resources = field(
        default=default_resources("10m", "32Mi", most=("500m", "128Mi")),
        metadata=RESOURCES,
    )
    """What the Job asks for and may use. Default: 10m CPU and 32Mi memory, at most 500m and 128Mi, and 64Mi
    to 1Gi of the node's disk, for logs."""


@frozen(kw_only=True)
class SchemaProps(ClientProps):
    """A SpiceDB schema that is written after each install and upgrade, once the servers are up.

    The servers must not load it themselves: with a datastore that keeps its data, SpiceDB's bootstrap files stop the
    second server that starts, or delete everything. Written again it changes nothing, and servers refuse a schema that
    would orphan relationships; the release fails then, and says why.
    """

    text: str = field(
        metadata=text(
            r"[\s\S]*\S[\s\S]*",
            "the schema, not empty",
            "give the text, such as Path('schema.zed').read_text()",
            most=900_000,
        )
    )
    """The schema. Required."""


@frozen(kw_only=True)
class PermissionTest(ClientProps):
    """What ``helm test`` does: permission checks as clients make them, of things that do not exist.

    There are so many that servers have to dispatch some of them to each other; each has to be answered, whatever the
    answer is.
    """

    resource: str = field(metadata=_NAME)
    """A type of resources in the schema, such as ``document``. Required."""
    permission: str = field(metadata=_NAME)
    """A permission of that type, such as ``read``. Required."""
    subject: str = field(metadata=_NAME)
    """A type of subjects, such as ``user``. Required."""
    checks: int = field(default=16, metadata=whole_number(1, 1000))
    """How many checks are made, each of another resource and by a pod of its own. Default: 16; with two servers, one in
    65,000 runs then dispatches nothing."""
