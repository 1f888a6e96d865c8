"""CockroachDB."""

from __future__ import annotations

from attrs import frozen

from .libpq import LibpqDatastore


@frozen(kw_only=True)
class CockroachDB(LibpqDatastore):
    """CockroachDB, by URI or by parts.

    A password is optional: clusters know their users by ``client_certificate`` and ``client_key`` as often. SpiceDB
    has no credentials provider for this engine.
    """

    engine = "cockroachdb"
    default_port = 26257
