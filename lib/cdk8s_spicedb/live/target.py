"""What an upgrade leads to: the steps that are left, and the props of each one."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from ..delivery import misfit
from ..errors import InvalidProps, Problem, SpiceDBError
from ..manifests import release_manifests
from ..plans.plan import UpgradePlan, UpgradeStep
from ..plans.planner import plan_upgrade
from ..props import SpiceDBProps
from .cluster import DEPLOYMENT, Cluster, Kind
from .instance import Running, describe
from .record import Record, read_record
from .released import REMOVE_PIN, foreign_objects, helm_released, pinned_image


def require_same_delivery(props: SpiceDBProps, running: Running) -> None:
    """Raises `SpiceDBError` if the file has another delivery than the release."""
    wrong = misfit(props.delivery, running.applier)
    if wrong is not None:
        raise SpiceDBError(f"{wrong.text}; {wrong.fix}")


_SETTINGS = "apply the settings of the file"


def start_or_continue(cluster: Cluster, props: SpiceDBProps, running: Running, revision: Callable[[], str]) -> Record:
    """The record of the upgrade that is under way, or of a new one. Raises `SpiceDBError` if the file has another
    target than the upgrade that is under way."""
    record = read_record(cluster, props.name)
    if record is not None and not record.done and (record.running is not None or record.sound[-1].step):
        _require_same_target(record, props)
        return record
    return Record.start(plan_to(props, running), running, revision())


def _require_same_target(record: Record, props: SpiceDBProps) -> None:
    last = record.plan.steps[-1]
    wanted = props.server.schema_mode
    if (props.version, wanted or last.schema_mode) != (record.plan.target, last.schema_mode):
        mode = f" in {last.schema_mode}" if last.schema_mode else ""
        done = f"{record.sound[-1].step} of {len(record.plan.steps)} steps are done"
        raise SpiceDBError(
            f"an upgrade to {record.plan.target}{mode} is under way, and {done}; finish it with a file that has this "
            "target, or go back with `cdk8s-spicedb rollback`, before you upgrade to another one"
        )


def plan_to(props: SpiceDBProps, running: Running) -> UpgradePlan:
    """The steps from what runs to what the props say. If only settings differ, there is one step."""
    if running.version is None:
        problem = Problem(
            "version",
            "(unknown)",
            "a Deployment whose image tag is a release",
            "use an image with a tag such as v1.56.0",
        )
        raise InvalidProps(f"the Deployment {running.name}", [problem])
    plan = plan_upgrade(
        props.datastore,
        running.version,
        props.version,
        schema_mode=props.server.schema_mode,
        current_schema_mode=running.schema_mode,
        releases=props.releases,
    )
    return plan if plan.steps else evolve(plan, steps=(_settings_step(props),))


def _settings_step(props: SpiceDBProps) -> UpgradeStep:
    known = props.releases.engines.get(props.datastore.engine)
    return UpgradeStep(
        version=props.version,
        revision=known.head(props.version) if known else None,
        target_migration=props.migration.target_migration,
        migrates=False,
        schema_mode=props.server.schema_mode,
        datastore_migration_phase=props.server.datastore_migration_phase,
        allowed_migrations=tuple(props.allowed_migrations),
        rolls_back=True,
        why=_SETTINGS,
    )


def props_at(props: SpiceDBProps, plan: UpgradePlan, step: UpgradeStep) -> SpiceDBProps:
    """The props of a step. A step that changes only settings has the props as they are."""
    if plan.current == plan.target and step.why == _SETTINGS:
        return props
    return props.at(step)


def props_before(props: SpiceDBProps, version: str, running: Running) -> SpiceDBProps:
    """The props of what runs, at a version. Arguments that only the file has are left out."""
    now = [each for each in props.server.extra_args if _name(each) in running.arguments]
    step = UpgradeStep(
        version=version,
        revision=None,
        target_migration=None,
        migrates=True,
        schema_mode=running.schema_mode,
        datastore_migration_phase=running.migration_phase,
        allowed_migrations=running.allowed_migrations,
        rolls_back=None,
        why="",
    )
    return evolve(props, server=evolve(props.server, extra_args=now)).at(step)


def _name(argument: str) -> str:
    return argument.lstrip("-").partition("=")[0]


def other_settings(running: Running, props: SpiceDBProps) -> str | None:
    """Which settings of the servers are not those of the props. None: all are as the props say."""
    (rendered,) = (each for each in release_manifests(props) if Kind.of(each) == DEPLOYMENT)
    metadata = {**rendered["metadata"], "namespace": running.namespace}
    wanted = describe({**rendered, "metadata": metadata})
    names = [f"--{name}" for name, value in wanted.arguments.items() if running.arguments.get(name) != value]
    names += [f"--{name}" for name in running.arguments if name not in wanted.arguments]
    if "replicas" in rendered["spec"] and running.replicas != wanted.replicas:
        names.append("replicas")
    return ", ".join(sorted(names)) or None


def require_own(cluster: Cluster, running: Running) -> None:
    """Raises `SpiceDBError` if this package did not make the release, if an upgrade would delete other objects, or if
    the release has an image of its own, so that an upgrade would not change the servers."""
    if running.made_as:
        raise SpiceDBError(
            f"another program, such as kustomize, changed the name of {running.made_as} to {running.name}; set name: "
            f"{running.name} in the file instead"
        )
    if not running.ours:
        raise SpiceDBError(
            f"the Deployment {running.name} was not made by cdk8s-spicedb; move to this package first, as the "
            "documentation describes"
        )
    released = helm_released(cluster, running)
    pinned = pinned_image(released)
    if pinned is not None:
        raise SpiceDBError(
            f"the Helm release {running.applied_as} has the value {pinned}, which takes precedence over the file; "
            f"remove it: {REMOVE_PIN}"
        )
    others = foreign_objects(released, running.name)
    if others:
        raise SpiceDBError(
            f"the Helm release {running.applied_as} also has {', '.join(others)}, which an upgrade with this file "
            "alone would delete; upgrade it with the chart or app that has all its objects"
        )
