"""Where an upgrade stands: a record in a ConfigMap of the cluster, so that any process can go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs
from attrs import evolve, frozen

from ..errors import SpiceDBError
from ..labels import OWN
from ..manifests.objects import Manifest
from ..plans.plan import UpgradePlan, UpgradeStep
from ..props.server import MIGRATION_PHASE, SCHEMA_MODE
from .apierror import Conflict, NotFound, Unreachable
from .cluster import CONFIG_MAP, Cluster
from .instance import Running
from .poll import timestamp

if TYPE_CHECKING:
    from cattrs import Converter

_KEY = "record.json"
_FORMAT = 1
"""Format of the records, which are 1 if they do not say it. A change that older versions would misread raises it."""


@frozen(kw_only=True)
class Sound:
    """A state in which the servers worked, and to which a rollback can return."""

    step: int
    """Number of the step. 0: before the upgrade."""
    version: str | None
    """SpiceDB version of the servers."""
    schema_mode: str | None
    """Schema mode of the servers. None: SpiceDB's default."""
    revision: str
    """Revision of the Helm release or, with kubectl, of the Deployment."""


@frozen(kw_only=True)
class Figures:
    """What clients saw of the servers during some time."""

    requests: int
    """Number of requests, without those of probes and between servers."""
    error_ratio: float
    """Part of the requests that failed because of the servers, from 0 to 1."""
    p99_seconds: float | None
    """99th percentile of the latency, in seconds. None: there were too few requests."""


@frozen(kw_only=True)
class Record:
    """Where an upgrade stands."""

    plan: UpgradePlan
    """The steps. They do not change until the last one is done."""
    started: str
    """Time at which the upgrade began (ISO 8601)."""
    sound: Sequence[Sound]
    """The states that worked, oldest first. The first is the one before the upgrade."""
    running: int | None = None
    """Number of the step that has begun and is not done."""
    schema_written: int | None = None
    """Number of the step before which the SpiceDB schema was written again."""
    stopped: str | None = None
    """Why the last attempt stopped."""
    before: Figures | None = None
    """What clients saw before the upgrade."""
    pending: str | None = None
    """Revision that a rollback is making. None: there is none."""
    backup: str | None = None
    """The last backup of this upgrade, in words: where it is, and of when. None: there is none."""
    backup_file: str | None = None
    """The file with that backup, on the machine that made it. None: it is not a file of this package."""

    @classmethod
    def start(cls, plan: UpgradePlan, running: Running, revision: str) -> Record:
        """The record of an upgrade that has not changed anything yet."""
        now = timestamp(datetime.now(timezone.utc))
        sound = Sound(step=0, version=running.version, schema_mode=running.schema_mode, revision=revision)
        return cls(plan=plan, started=now, sound=(sound,))

    @property
    def done(self) -> bool:
        """Whether the last step is done."""
        return self.next_step is None

    @property
    def next_step(self) -> int | None:
        """Number of the first step that is not done. None: all are."""
        number = self.sound[-1].step + 1
        return number if number <= len(self.plan.steps) else None

    @property
    def unsure(self) -> Sequence[int]:
        """Numbers of the steps that have not begun, and that may be impossible to roll back."""
        left = range((self.running or self.sound[-1].step) + 1, len(self.plan.steps) + 1)
        return [number for number in left if not self.step(number).rolls_back]

    def step(self, number: int) -> UpgradeStep:
        """A step by its number."""
        return self.plan.steps[number - 1]

    def awaits(self, running: Running) -> str | None:
        """Why the step that has begun is not in place. None: it is, or no step has begun."""
        return None if self.running is None else not_in_place(running, self.step(self.running))

    def rewrites_schema(self, number: int) -> bool:
        """Whether the SpiceDB schema is still to be written again before a step."""
        return self.step(number).rewrites_schema and self.schema_written != number

    def begin(self, number: int) -> Record:
        """The record when a step begins."""
        return evolve(self, running=number, stopped=None, pending=None)

    def finish(self, revision: str) -> Record:
        """The record when the running step is done and sound."""
        number = self.running or 0
        step = self.step(number)
        sound = Sound(step=number, version=step.version, schema_mode=step.schema_mode, revision=revision)
        return evolve(self, running=None, stopped=None, sound=(*self.sound, sound))

    def stop(self, reason: str, *, running: int | None) -> Record:
        """The record when a step failed. ``running`` is None if the step was rolled back."""
        return evolve(self, running=running, stopped=reason)

    def return_to(self, sound: Sound) -> Record:
        """The record after a rollback to a sound state."""
        kept = self.sound[: self.sound.index(sound) + 1]
        written = self.schema_written if (self.schema_written or 0) <= sound.step else None
        return evolve(self, running=None, sound=kept, schema_written=written)

    def with_revision(self, revision: str) -> Record:
        """The record with another revision of the last sound state: a rollback makes a new one."""
        return evolve(self, sound=(*self.sound[:-1], evolve(self.sound[-1], revision=revision)), pending=None)


def record_name(name: str) -> str:
    """The name of the ConfigMap."""
    return f"{name}-upgrade"


def not_in_place(running: Running, step: UpgradeStep) -> str | None:
    """Why the Deployment is not that of a step. None: it is."""
    settings = {
        "version": (running.version, step.version),
        f"--{SCHEMA_MODE}": (running.schema_mode, step.schema_mode or running.schema_mode),
        f"--{MIGRATION_PHASE}": (running.migration_phase, step.datastore_migration_phase),
    }
    for name, (now, wanted) in settings.items():
        if now != wanted:
            return f"{name} of the servers is {now or 'not set'}, but this step needs {wanted or 'none'}"
    return None


def read_record(cluster: Cluster, name: str) -> Record | None:
    """The record of the last upgrade of a release. None if there is none. Raises `SpiceDBError` if it is not valid."""
    return record_in(data_of(cluster, name), cluster, name)


def data_of(cluster: Cluster, name: str) -> Mapping[str, Any]:
    """The data of the ConfigMap with the record. Empty if there is none."""
    return (cluster.get(CONFIG_MAP, record_name(name)) or {}).get("data") or {}


def record_in(data: Mapping[str, Any], cluster: Cluster, name: str) -> Record | None:
    """The record in the data of its ConfigMap. None if there is none. Raises `SpiceDBError` if it is not valid."""
    text, config_map = data.get(_KEY), record_name(name)
    if not isinstance(text, str):
        return None
    fix = f"correct it, or delete it with `kubectl delete configmap {config_map} {cluster.options()}`"
    return _load(text, f"{_KEY} in the ConfigMap {config_map}", fix)


class RecordFile:
    """The ConfigMap with the record of a release. Nobody else may change it between two writes."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._of, self._name = cluster, name, record_name(name)
        self._version: str | None = None

    def read(self) -> Record | None:
        """The record. None if there is none. Raises `SpiceDBError` if it is not valid."""
        return record_in(self._data(), self._cluster, self._of)

    def write(self, record: Record) -> None:
        """Writes the record. Raises `SpiceDBError` if somebody else has changed it since this was last called."""
        wanted = self._manifest(record)
        for _ in range(2):
            change = self._cluster.create
            if self._version is not None:
                change, wanted["metadata"]["resourceVersion"] = self._cluster.replace, self._version
            try:
                self._version = change(wanted)["metadata"]["resourceVersion"]
                return
            except (Conflict, NotFound, Unreachable) as error:
                refused = error
            # It was written if only the answer was lost.
            before = self._version
            if self._data().get(_KEY) == wanted["data"][_KEY]:
                return
            if self._version != before or isinstance(refused, Conflict):
                raise SpiceDBError(
                    f"somebody else changed the ConfigMap {self._name}, which has the record of the upgrade; "
                    "`cdk8s-spicedb status` shows what runs"
                )
        raise refused

    def _data(self) -> Mapping[str, Any]:
        found = self._cluster.get(CONFIG_MAP, self._name) or {}
        self._version = found.get("metadata", {}).get("resourceVersion")
        return found.get("data") or {}

    def _manifest(self, record: Record) -> Manifest:
        plan, at = record.plan, record.sound[-1].step
        data = {
            _KEY: json.dumps({"format": _FORMAT, **attrs.asdict(record)}, indent=2),
            # For people who look at the ConfigMap.
            "upgrade": f"{plan.current} to {plan.target}",
            "steps-done": f"{at} of {len(plan.steps)}",
            "stopped": record.stopped or "",
        }
        metadata = {"name": self._name, "labels": OWN}
        return {**CONFIG_MAP.type_meta, "metadata": metadata, "data": data}


def _load(text: str, place: str, fix: str) -> Record:
    # Imported only here, because it takes 13 ms.
    from cattrs import BaseValidationError, transform_error

    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise SpiceDBError(f"{place} is not a JSON object; {fix}")
        if data.get("format", _FORMAT) != _FORMAT:
            raise SpiceDBError(f"a newer version of cdk8s-spicedb wrote {place}; use that version, or a newer one")
        record = _converter().structure(data, Record)
        if not record.sound:
            raise SpiceDBError(f"{place} is not valid: sound is empty; {fix}")
        if any(not (each.revision or "0").isdecimal() for each in record.sound):
            raise SpiceDBError(f"{place} is not valid: a revision in sound is not a number; {fix}")
        numbers = {record.running or 0, *(sound.step for sound in record.sound)}
        if not numbers <= set(range(len(record.plan.steps) + 1)):
            raise SpiceDBError(f"{place} is not valid: it names steps that its plan does not have; {fix}")
        return record
    except RecursionError:
        raise SpiceDBError(f"{place} is nested too deeply; {fix}") from None
    except json.JSONDecodeError as error:
        raise SpiceDBError(f"{place} is not JSON: {error}; {fix}") from None
    except BaseValidationError as error:
        problems = "; ".join(problem.replace(" @ $.", " at ") for problem in transform_error(error))
        raise SpiceDBError(f"{place} is not valid: {problems}; {fix}") from None


@cache
def _converter() -> Converter:
    from cattrs import Converter

    made = Converter()
    for kind in (str, int, float, bool):
        made.register_structure_hook(kind, _exact)
    return made


def _exact(value: Any, kind: type[Any]) -> Any:
    """A value of a type, not converted: ``str(None)`` is no version."""
    if issubclass(kind, Enum):
        return kind(value)
    if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool) != (kind is bool):
        raise ValueError(value)
    return value
