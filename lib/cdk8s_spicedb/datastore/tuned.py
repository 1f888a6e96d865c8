"""What can be tuned with every engine that keeps its data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from attrs import field, frozen

from ..checks import duration, flag, fraction, optional
from ..env import Setting
from .base import Datastore


@frozen(kw_only=True)
class TunedDatastore(Datastore):
    """An engine that keeps its data."""

    read_only: bool = field(default=False, metadata=flag())
    """Refuses writes (``--datastore-readonly``), and removes no old revisions. Migrations write nevertheless. Default:
    off."""
    revision_quantization_interval: timedelta | None = field(
        default=None,
        metadata=optional(
            duration(timedelta(0), timedelta(hours=1), "give a time such as timedelta(seconds=5), 0 for none")
        ),
    )
    """For how long requests that need not be the latest share one revision, and so their cached answers
    (``--datastore-revision-quantization-interval``). Longer means fewer reads, and longer until a write is seen by all.
    Default: SpiceDB's own, 5 s."""
    revision_quantization_max_staleness: float | None = field(default=None, metadata=optional(fraction()))
    """Which part of that interval a revision may be older than it (0 to 1), so that caches do not all change at once
    (``--datastore-revision-quantization-max-staleness-percent``). Default: SpiceDB's own, 0.1."""
    follower_read_delay: timedelta | None = field(
        default=None,
        metadata=optional(
            duration(timedelta(0), timedelta(minutes=10), "give a time such as timedelta(milliseconds=4800)")
        ),
    )
    """How old a revision has to be that requests read which need not be the latest, so that a database node nearby, or
    a read replica, has it (``--datastore-follower-read-delay-duration``). Default: SpiceDB's own, 4.8 s, what
    CockroachDB's followers need."""

    def settings(self) -> Mapping[str, Setting]:
        """See `Datastore.settings`."""
        return {
            "datastore-readonly": self.read_only or None,
            "datastore-revision-quantization-interval": self.revision_quantization_interval,
            "datastore-revision-quantization-max-staleness-percent": self.revision_quantization_max_staleness,
            "datastore-follower-read-delay-duration": self.follower_read_delay,
        }
