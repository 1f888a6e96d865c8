"""CockroachDB."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from ..checks import flag, instance, optional
from ..env import Setting
from ..volume import SecretFiles
from .integrity import RelationshipIntegrity
from .libpq import LibpqDatastore


@frozen(kw_only=True)
class CockroachDB(LibpqDatastore):
    """CockroachDB, by URI or by parts.

    A password is optional: clusters know their users by ``client_certificate`` and ``client_key`` as often. SpiceDB
    has no credentials provider for this engine.
    """

    engine = "cockroachdb"
    default_port = 26257

    connection_balancing: bool = field(default=True, metadata=flag())
    """Spreads connections evenly over the database's nodes (``--datastore-connection-balancing``). Default: on, as in
    SpiceDB; off behind a proxy that does so itself."""
    relationship_integrity: RelationshipIntegrity | None = field(
        default=None,
        metadata=optional(
            instance(
                RelationshipIntegrity,
                "RelationshipIntegrity(key_id=…, key=…)",
                "write RelationshipIntegrity(key_id='2026-11', key=SecretKey('integrity', '2026-11'))",
            )
        ),
    )
    """Signs relationships, so that what others write to the database is noticed. Default: off; it can only be chosen
    for an empty database."""

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        integrity = self.relationship_integrity
        return {
            **super().settings(),
            "datastore-connection-balancing": None if self.connection_balancing else False,
            **(integrity.settings() if integrity else {}),
        }

    def settings_files(self) -> tuple[SecretFiles, ...]:
        """See `Datastore.settings_files`."""
        return self.relationship_integrity.files() if self.relationship_integrity else ()
