"""Google Cloud Spanner."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from annotated_types import Interval
from attrs import field, frozen

from ..fields import Pattern
from ..flags import DATASTORE_URI, Flag
from ..secrets import ConfigMapKey, EnvVar, SecretKey, as_secret_key, variable
from ..types import HostPort
from .base import Datastore
from .sql import GC_WINDOW, Quantization, ReadDelay, ReadOnly, Staleness

_Id = Annotated[
    str, Pattern(r"[A-Za-z0-9]([-_.:A-Za-z0-9]*[A-Za-z0-9])?", "an id of Google Cloud", "use only the id, not its path")
]


@frozen(kw_only=True)
class Spanner(Datastore):
    """Google Cloud Spanner. Set the ids of project, instance and database, or ``uri``.

    There is no password. SpiceDB authenticates with Google's Application Default Credentials. On GKE, use workload
    identity (``service_account_annotations``), elsewhere ``credentials``. Migrations need the role Database Admin,
    servers need Database User.
    """

    engine = "spanner"
    can_be_rehearsed = False

    uri: Annotated[SecretKey, Flag(DATASTORE_URI)] | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold ``projects/…/instances/…/databases/…`` (``--datastore-conn-uri``). Defaults to none: the
    ids are used."""
    project: _Id | None = None
    """Id of the Google Cloud project. Defaults to none: ``uri`` is used."""
    instance: _Id | None = None
    """Id of the Spanner instance. Defaults to none: ``uri`` is used."""
    database: _Id | None = None
    """Id of the database. Defaults to none: ``uri`` is used."""
    credentials: SecretKey | None = field(default=None, converter=as_secret_key)
    """Secret and key that hold the key file (JSON) of a Google service account. The file is mounted in servers and
    migration, and ``GOOGLE_APPLICATION_CREDENTIALS`` names it, because SpiceDB's own flag for it is deprecated.
    Defaults to none: workload identity is used."""
    emulator_host: Annotated[HostPort, Flag("datastore-spanner-emulator-host", env=True)] | None = None
    """Address of Spanner's emulator, for tests (``--datastore-spanner-emulator-host``). Defaults to none."""

    read_only: ReadOnly = False
    """Makes servers reject writes and keep old revisions (``--datastore-readonly``). Migrations still write. Defaults
    to off."""
    revision_quantization_interval: Quantization | None = None
    """Time for which requests share one revision and its cached answers, unless they ask for the latest revision
    (``--datastore-revision-quantization-interval``). With a longer time, servers read less from the database, but some
    requests see a write later. Defaults to SpiceDB's default, 5 s."""
    revision_quantization_max_staleness: Staleness | None = None
    """How much longer than ``revision_quantization_interval`` a revision may be used, as a part of that interval (0 to
    1). This keeps caches from expiring all at once (``--datastore-revision-quantization-max-staleness-percent``).
    Defaults to SpiceDB's default, 0.1."""
    follower_read_delay: ReadDelay | None = None
    """Minimum age of the revision that requests use, unless they ask for the latest revision. After this time, a nearby
    database node also has the revision (``--datastore-follower-read-delay-duration``). Defaults to SpiceDB's default,
    4.8 s."""
    gc_window: (
        Annotated[
            timedelta,
            Interval(ge=timedelta(minutes=1), le=timedelta(days=1)),
            Flag(GC_WINDOW, ignored_before="v1.56.2"),
        ]
        | None
    ) = None
    """Time for which requests can use old revisions (``--datastore-gc-window``, SpiceDB 1.56.2 and later: earlier
    releases ignore it). Defaults to SpiceDB's default, 24 h. It cannot be longer, because SpiceDB's change stream in
    Spanner ends there."""

    @property
    def network_port(self) -> int:
        return int(self.emulator_host.rpartition(":")[2]) if self.emulator_host else 443

    def file_keys(self) -> Mapping[str, SecretKey | ConfigMapKey | None]:
        return {"credentials.json": self.credentials}

    def connection(self, uri: SecretKey | None, migrate: bool) -> tuple[EnvVar, ...]:
        path = f"projects/{self.project}/instances/{self.instance}/databases/{self.database}"
        return (variable(DATASTORE_URI, uri or self.uri or path),)

    def options(self) -> tuple[EnvVar, ...]:
        return tuple(EnvVar("GOOGLE_APPLICATION_CREDENTIALS", files.path("credentials.json")) for files in self.files())
