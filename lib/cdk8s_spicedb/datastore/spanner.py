"""Google Cloud Spanner."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from ..checks import Metadata, hide, optional, rule, text
from ..env import EnvVar, variable
from ..errors import Problem
from ..secret import SecretKey, as_secret_key, secret_key
from ..volume import SecretFiles
from .tuned import TunedDatastore

_CREDENTIALS = "credentials.json"


def _id_check(what: str) -> Metadata:
    return optional(
        text(
            r"[A-Za-z0-9]([-_.:A-Za-z0-9]*[A-Za-z0-9])?",
            f"the {what}'s id",
            f"give the {what}'s id alone, not its path",
        )
    )


@frozen(kw_only=True)
class Spanner(TunedDatastore):
    """Google Cloud Spanner, by the ids of project, instance and database, or by a URI from a Secret.

    There is no password: Spanner knows its callers by Google's Application Default Credentials. On GKE that is workload
    identity (``service_account_annotations``), elsewhere ``credentials``. Migrations need the role Database Admin,
    servers Database User.
    """

    engine = "spanner"

    uri: SecretKey | None = field(
        default=None, converter=as_secret_key, metadata=optional(secret_key("the database's path"))
    )
    """The Secret key that holds ``projects/…/instances/…/databases/…`` (``--datastore-conn-uri``). Default: none, the
    ids are used."""
    project: str | None = field(default=None, metadata=_id_check("project"))
    """The Google Cloud project's id. Default: none, ``uri`` is used."""
    instance: str | None = field(default=None, metadata=_id_check("instance"))
    """The Spanner instance's id. Default: none, ``uri`` is used."""
    database: str | None = field(default=None, metadata=_id_check("database"))
    """The database's id. Default: none, ``uri`` is used."""
    credentials: SecretKey | None = field(
        default=None, converter=as_secret_key, metadata=optional(secret_key("the credentials file"))
    )
    """The Secret key that holds a service account's key file (JSON), mounted in servers and migration alike and named
    by ``GOOGLE_APPLICATION_CREDENTIALS``; SpiceDB's own flag for it is deprecated. Default: none, workload identity."""
    emulator_host: str | None = field(
        default=None,
        metadata=optional(
            text(r"[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?:\d{1,5}", "HOST:PORT", "write it as 'spanner-emulator:9010'")
        ),
    )
    """Where Spanner's emulator listens (``--datastore-spanner-emulator-host``), for tests. Default: none."""

    @property
    def network_port(self) -> int:
        """See `Datastore.network_port`."""
        return int(self.emulator_host.rpartition(":")[2]) if self.emulator_host else 443

    def env(self, *, uri: SecretKey | None = None, migrate: bool = False) -> tuple[EnvVar, ...]:
        """See `Datastore.env`."""
        path = f"projects/{self.project}/instances/{self.instance}/databases/{self.database}"
        return (
            variable("datastore-engine", self.engine),
            variable("datastore-conn-uri", uri or self.uri or path),
            *((variable("datastore-spanner-emulator-host", self.emulator_host),) if self.emulator_host else ()),
            *(EnvVar("GOOGLE_APPLICATION_CREDENTIALS", files.path(_CREDENTIALS)) for files in self.files()),
        )

    def files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.files`."""
        return self._files({_CREDENTIALS: self.credentials})

    @rule("uri", "project", "instance", "database")
    def _uri_or_ids(self) -> Iterator[Problem]:
        for name in ("project", "instance", "database"):
            value = getattr(self, name)
            if self.uri is not None and value is not None:
                yield Problem(name, hide(value), "nothing when uri is given", "leave it out, or leave uri out")
            if self.uri is None and value is None:
                yield Problem(
                    name, "None", "uri, or project, instance and database", f"give {name}, or uri=SecretKey(…)"
                )

    @rule("credentials", "emulator_host")
    def _emulator_knows_nobody(self) -> Iterator[Problem]:
        if self.credentials and self.emulator_host:
            yield Problem(
                "credentials", "(a SecretKey)", "nothing when emulator_host is given", "leave one of the two out"
            )
