"""What `upgrade` does because a step has no sure way back: it makes a backup first, and wants a rehearsal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from ..errors import SpiceDBError
from ..live.cluster import Cluster
from ..live.upgrade.backup import BackUp, described
from ..props import SpiceDBProps

if TYPE_CHECKING:
    from .upgrade import Options

DEFAULT_FOLDER = "spicedb-backups"
_OTHER_WAYS = "set upgradeBackup in the file, so that your own program makes it; or make no backup, with --no-backup"
_MISSING = (
    "a rollback of a step does not work, or may not, so this upgrade needs a backup. The libraries for it are missing. "
    f"Install them: pip install 'cdk8s-spicedb[live,data]'; or {_OTHER_WAYS}"
)
_NO_SERVER = (
    "a rollback of a step does not work, or may not, so this upgrade needs a backup. But no server runs, so it cannot "
    f"be made. Start a server; or {_OTHER_WAYS}"
)


@frozen
class Backups:
    """Which backups an upgrade makes: those of the file, or its own."""

    folder: Path
    """Where its own are written."""
    act: BackUp | None
    """What writes one of its own. None: the libraries are missing, or no backups are wanted."""
    of_file: bool
    """Whether a backup of the file takes precedence."""
    wanted: bool = True
    """Whether there are any."""

    @classmethod
    def of(cls, folder: str | None, *, none: bool) -> Backups:
        """The backups for the options ``--backup`` and ``--no-backup``."""
        if none:
            return cls(Path(), None, of_file=False, wanted=False)
        if folder is not None:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(Path(folder), own_backup(Path(folder)), of_file=False)
        try:
            act = own_backup(Path(DEFAULT_FOLDER))
        except ModuleNotFoundError:
            act = None
        return cls(Path(DEFAULT_FOLDER), act, of_file=True)

    @property
    def back_up(self) -> BackUp | None:
        """`UpgradeOptions.back_up`."""
        return (self.act or _refuse) if self.wanted else None

    def chosen(self, props: SpiceDBProps) -> SpiceDBProps:
        """The props without their own backup, unless it takes precedence."""
        return props if self.of_file else evolve(props, upgrade_backup=None)

    def require(self, props: SpiceDBProps, *, due: bool, servers: int | None = None) -> None:
        """Raises `SpiceDBError` if an upgrade needs a backup, and cannot make it. ``servers`` is the number of servers,
        if it is known."""
        if not due or not self.wanted or props.upgrade_backup is not None:
            return
        if self.act is None:
            raise SpiceDBError(_MISSING)
        if servers == 0:
            raise SpiceDBError(_NO_SERVER)

    def sentence(self, props: SpiceDBProps, before: str) -> str:
        """What happens before a step, for the question to the user."""
        if not self.wanted:
            return f"Before {before}, no backup is made (--no-backup)."
        if props.upgrade_backup is not None:
            return f"Before {before}, the upgrade {described(props.upgrade_backup)}."
        return (
            f"Before {before}, the upgrade writes a backup to {self.folder.resolve()}. The file says who has access to "
            "what. Only you can read it."
        )


def steps(numbers: Sequence[int]) -> str:
    """Some steps, in words."""
    *most, last = map(str, numbers)
    return f"each of the steps {', '.join(most)} and {last}" if most else f"step {last}"


def unrehearsed(options: Options, what: str, cluster: Cluster, files: Sequence[str]) -> Sequence[str]:
    """What to say about an upgrade that nobody has rehearsed, before the question. ``files`` describe its SpiceDB.
    Raises `SpiceDBError` if nobody is asked."""
    if options.no_rehearsal:
        return ()
    text = f"Nobody has rehearsed {what} in the last day, and a rollback of a step does not work, or may not."
    words = [word for file in files for word in ("--file", file)]
    words += ["--releases", options.releases] if options.releases else []
    command = f"cdk8s-spicedb rehearse {shlex.join(words)} {cluster.options()}"
    if options.yes:
        raise SpiceDBError(
            f"{text} Nothing was changed.\nTo rehearse it, run: {command}\nTo go on without a rehearsal, add "
            "--no-rehearsal."
        )
    return (f"{text} To rehearse it, answer no, and run: {command}",)


def _refuse(_: Cluster, __: str) -> str | None:
    raise SpiceDBError(_MISSING)


def own_backup(folder: Path) -> BackUp:
    """What writes a backup to a folder, through the API of SpiceDB."""
    from ..live.data.backup import EmptyError, back_up  # They need more libraries than the upgrade itself.
    from ..live.data.reach import reaching

    def act(cluster: Cluster, name: str) -> Path | None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = _path(folder.resolve(), f"{cluster.namespace}-{name}", cluster)
            with reaching(cluster, name) as server:
                back_up(server, path)
        except EmptyError:
            return None
        except OSError as error:
            raise SpiceDBError(f"cannot write to {folder}: {error.strerror or error}") from None
        return path

    return act


def _path(folder: Path, stem: str, cluster: Cluster) -> Path:
    """The file of an interrupted backup, to continue it, or that of a new one."""
    partial = max(folder.glob(f"{stem}-[0-9]*Z.zedbackup.partial"), default=None)
    return partial.with_suffix("") if partial else folder / f"{stem}-{cluster.clock.now():%Y%m%dT%H%M%SZ}.zedbackup"
