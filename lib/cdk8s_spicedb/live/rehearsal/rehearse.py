"""Rehearses an upgrade: every step and its rollback, on a copy of the live data, in a namespace that is deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
from attrs import evolve, frozen
from authzed.api.v1 import Relationship

from ...errors import SpiceDBError
from ...labels import Component, selector_text
from ...manifests import release_manifests
from ...manifests.objects import Manifest
from ...plans.plan import UpgradePlan, UpgradeStep
from ...props import SpiceDBProps, require
from ...text import time_of
from ..apart import READY_SECONDS, NotReadyError, server_apart
from ..check.probe import probe
from ..cluster import JOB, SECRET, Cluster
from ..data.backup import copy as copy_all
from ..data.compare import Comparison, answers, comparison
from ..data.file import Scratch, reading
from ..data.lookups import Lookup, different_lookups, look_up
from ..data.part import write_sample
from ..data.questions import Question, looked_up, questions, sample
from ..data.reach import reaching
from ..data.restore import restore
from ..data.server import RequestError, Server
from ..instance import Running, require_running
from ..pods import created
from ..poll import sometimes, timestamp
from ..record import Record
from ..rehearsed import note_rehearsal
from ..target import props_at, props_before, require_own, start_or_continue
from ..upgrade.outcome import Outcome, Progress, State
from ..upgrade.rollback import roll_back
from ..upgrade.upgrade import UpgradeOptions, upgrade
from ..waiting import wait_until_safe
from . import expiry
from .clients import asking
from .databases import Database, database_manifests, engine_of, image_like
from .place import Place, place
from .props import rehearsed
from .result import Rehearsal, RehearsedStep, Way

_INSTALL_SECONDS = 300
_WRITTEN = 100
"""Relationships that clients write again and again."""
_REJECTED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
"""Codes with which a SpiceDB rejects a schema."""
Notify = Callable[[str], object]


@frozen(kw_only=True)
class RehearsalOptions:
    """How an upgrade is rehearsed."""

    sample: int | None = None
    """Number of relationships that are chosen by chance; those on which their answers depend come with them. None: all
    relationships."""
    questions: int = 2000
    """Number of questions that are asked after each step."""
    observe_seconds: int = 5
    """Time for which the servers' metrics are observed after each step, in seconds."""
    database_image: str | None = None
    """Image of the database's server. Defaults to the official image in the version of the live one."""
    into: str | None = None
    """Namespace in which the upgrade is rehearsed. It must exist and be empty, and it stays. Defaults to a new
    namespace, which is deleted in the end."""


def rehearse(
    cluster: Cluster,
    props: SpiceDBProps,
    *,
    options: RehearsalOptions | None = None,
    notify: Notify = lambda _: None,
) -> Rehearsal:
    """Rehearses the upgrade of the SpiceDB that runs to what the props say.

    Copies the schema and the relationships, and nothing else: it never writes to the live SpiceDB or its database. In
    a namespace of its own, it starts a database server, the release that runs and the copy, and then does each step,
    its rollback, and the step again. The namespace is deleted in the end.

    Raises `InvalidProps` for wrong props, and `SpiceDBError` if the upgrade cannot be rehearsed. A step that fails is a
    result.
    """
    require(props)
    chosen = options or RehearsalOptions()
    return _Rehearser(cluster, props, chosen, notify).run()


@frozen
class _Copy:
    """The live data, and what to ask about it."""

    file: Scratch
    live: int
    """Number of relationships of the live SpiceDB."""
    copied: int
    schema: str
    sampled: Sequence[Relationship]
    expiring: list[Relationship]


@frozen
class _Said:
    """What the release that runs says about the copy."""

    asked: Sequence[Question]
    answered: Sequence[str]
    lookups: Sequence[Lookup]

    @classmethod
    def by(cls, server: Server, copy: _Copy, limit: int) -> _Said:
        """What a server answers and finds."""
        more = looked_up(server, copy.sampled, copy.schema)
        asked = questions(copy.sampled, copy.schema, limit, more)
        answered = answers(server, asked)
        return cls(asked, answered, look_up(server, comparison(asked, answered, answered).granted))

    def compare(self, server: Server) -> Comparison:
        """How a server of another release differs."""
        compared = comparison(self.asked, self.answered, answers(server, self.asked))
        return evolve(compared, lookups=list(different_lookups(self.lookups, server)))


@frozen
class _Rehearser:
    cluster: Cluster
    props: SpiceDBProps
    options: RehearsalOptions
    notify: Notify

    def run(self) -> Rehearsal:
        """Rehearses all steps that are left."""
        running, record = self._planned()
        version = record.sound[-1].version
        if record.running is not None or version is None:
            raise SpiceDBError("a step of the upgrade is under way; finish it, or roll it back, before you rehearse it")
        engine = engine_of(self.props.datastore)
        props = rehearsed(self.props, running)
        image = self.options.database_image or image_like(self.cluster, self.props)
        with Scratch.create() as whole, Scratch.create() as part:
            copy, first = self._copy(whole, part), props_before(props, version, running)
            beginning = [*database_manifests(engine, image, props), *release_manifests(first)]
            with place(self.cluster, props.name, self.options.into, beginning) as found:
                self.notify(f"rehearsing in the namespace {found.cluster.namespace}")
                self._bring_secrets(found)
                database = Database(found, engine, image)
                database.start(props)
                self._install(found, first)
                self.notify(f"copying {copy.copied:,} relationships")
                with reaching(found.cluster, props.name) as server:
                    restore(copy.file, server)
                    said = _Said.by(server, copy, self.options.questions)
                stage = _Stage(found, props, database, copy, said, self.options, self.notify)
                steps = stage.play(record.plan, record.sound[-1].step, first)
        result = Rehearsal(
            name=self.props.name,
            namespace=self.cluster.namespace,
            current=version,
            target=self.props.version,
            relationships=copy.live,
            copied=copy.copied,
            questions=len(said.asked),
            at=timestamp(self.cluster.clock.now()),
            steps=steps,
        )
        if result.ok:
            note_rehearsal(self.cluster, self.props)
        return result

    def _planned(self) -> tuple[Running, Record]:
        """What runs, and the steps that are left, even if a commit would apply them."""
        running = require_running(self.cluster, self.props.name)
        require_own(self.cluster, running)
        return running, start_or_continue(self.cluster, self.props, running, lambda: running.revision)

    def _copy(self, whole: Scratch, part: Scratch) -> _Copy:
        self.notify("reading the live relationships")
        with reaching(self.cluster, self.props.name) as live:
            tell = sometimes(lambda number: self.notify(f"read {number:,} relationships"), self.cluster.clock)
            _, summary = copy_all(live, whole, notify=tell)
        file, copied = whole, summary.total
        if self.options.sample is not None and self.options.sample < copied:
            file, copied = part, write_sample(whole, part, self.options.sample)
        with reading(file) as (head, relationships):
            some = sample(relationships, self.options.questions)
        return _Copy(
            file=file,
            live=summary.total,
            copied=copied,
            schema=head.schema,
            sampled=some,
            expiring=expiry.expiring(head.schema),
        )

    def _bring_secrets(self, place: Place) -> None:
        """Copies the Secrets with which nodes pull images, unless the namespace has them."""
        for name in self.props.image_pull_secrets:
            secret = self.cluster.get(SECRET, name)
            if secret is not None and place.cluster.get(SECRET, name) is None:
                kept: Manifest = {key: secret[key] for key in ("apiVersion", "kind", "type", "data") if key in secret}
                place.apply({**kept, "metadata": {"name": name}})

    def _install(self, place: Place, props: SpiceDBProps) -> None:
        self.notify(f"installing SpiceDB {props.version}")
        for manifest in release_manifests(props):
            place.apply(manifest)
        reason = wait_until_safe(place.cluster, props.name, _INSTALL_SECONDS)
        if reason is not None:
            raise SpiceDBError(f"SpiceDB {props.version} does not run in the namespace of the rehearsal: {reason}")


@frozen
class _Stage:
    """The namespace of a rehearsal, with the copy in it."""

    place: Place
    props: SpiceDBProps
    database: Database
    copy: _Copy
    said: _Said
    options: RehearsalOptions
    notify: Notify

    @property
    def cluster(self) -> Cluster:
        """The namespace."""
        return self.place.cluster

    def play(self, plan: UpgradePlan, done: int, first: SpiceDBProps) -> list[RehearsedStep]:
        """Does each step that is left, until one fails."""
        played: list[RehearsedStep] = []
        older = first
        for number, step in enumerate(plan.steps[done:], 1):
            result = self._step(plan, step, number, older)
            played.append(result)
            if result.is_last:
                break
            older = props_at(self.props, plan, step)
        return played

    def _step(self, plan: UpgradePlan, step: UpgradeStep, number: int, older: SpiceDBProps) -> RehearsedStep:
        result = self._begun(step, number, props_at(self.props, plan, step))
        if result.error:
            return result
        clock, written = self.cluster.clock, self.copy.sampled[:_WRITTEN]
        clients = asking(self.cluster, self.props.name, self.said.asked, written)
        start = clock.monotonic()
        with self.database.watching() as watch, clients as requests:
            outcome = self._upgrade(number)
        result = evolve(result, seconds=clock.monotonic() - start, database=watch.use, requests=requests)
        error = _failure(outcome)
        if error:
            return evolve(result, error=error)
        result = evolve(result, migration_seconds=self._migration_seconds())
        try:
            result = self._asked(result)
        except RequestError as failed:
            return evolve(result, error=f"the servers do not answer as before: {failed}")
        return evolve(result, back=self._back(number, older))

    def _begun(self, step: UpgradeStep, number: int, props: SpiceDBProps) -> RehearsedStep:
        """A step before anything is done, with what its own program says."""
        self.notify(f"step {number}: asking the program of {step.version}")
        found = probe(self.cluster, props)
        error = f"{step.version} does not take its arguments: {'; '.join(found.wrong_flags)}"
        return RehearsedStep(
            number=number,
            version=step.version,
            schema_mode=step.schema_mode,
            rolls_back=step.rolls_back,
            head=found.head,
            expected_head=_head(props),
            error=error if found.wrong_flags else "",
        )

    def _upgrade(self, number: int) -> Outcome:
        last = ""

        def report(progress: Progress) -> None:
            nonlocal last
            text = f"step {number}: {progress.activity.value}: {progress.text}"
            if text != last:
                self.notify(text)
            last = text

        chosen = UpgradeOptions(
            observe_seconds=self.options.observe_seconds, on_failure="stop", check=None, most_steps=1
        )
        return upgrade(self.cluster, self.props, options=chosen, report=report)

    def _migration_seconds(self) -> float | None:
        jobs = self.cluster.find(JOB, labels=selector_text(self.props.name, Component.MIGRATION))
        status = max(jobs, key=created, default={}).get("status", {})
        if "startTime" not in status or "completionTime" not in status:
            return None
        return (time_of(status["completionTime"]) - time_of(status["startTime"])).total_seconds()

    def _asked(self, result: RehearsedStep) -> RehearsedStep:
        """The result, with what the servers of the step answer."""
        self.notify(f"step {result.number}: asking {len(self.said.asked):,} questions")
        with reaching(self.cluster, self.props.name) as server:
            return evolve(
                result,
                differences=list(self.said.compare(server).lines()),
                expired=self._expired(server),
                schema_error=self._schema_error(server),
            )

    def _expired(self, server: Server) -> list[str]:
        if not self.copy.expiring:
            return []
        expiry.write(server, self.copy.expiring)
        return [str(each.question) for each in expiry.lasting(server, self.copy.expiring)]

    def _schema_error(self, server: Server) -> str:
        try:
            server.write_schema(self.copy.schema)
        except RequestError as error:
            if error.code in _REJECTED:
                return str(error)
            raise
        return ""

    # ------------------------------------------------------------ the way back

    def _back(self, number: int, older: SpiceDBProps) -> Way:
        """Whether older servers become ready, the rollback, and the step again."""
        self.notify(f"step {number}: trying the way back")
        reason = self._not_ready(older)
        if reason:
            return Way(ready=False, reason=reason)
        clock = self.cluster.clock
        start = clock.monotonic()
        outcome = roll_back(self.cluster, self.props.name, props=self.props, force=True)
        seconds = clock.monotonic() - start
        reason = _failure(outcome)
        if reason:
            return Way(ready=True, seconds=seconds, reason=reason)
        try:
            with reaching(self.cluster, self.props.name) as server:
                different = list(self.said.compare(server).lines())
        except RequestError as error:
            return Way(ready=True, seconds=seconds, reason=f"the servers do not answer as before: {error}")
        return Way(ready=True, seconds=seconds, differences=different, again=_failure(self._upgrade(number)))

    def _not_ready(self, older: SpiceDBProps) -> str:
        """Why a server of the step before does not become ready on the migrated datastore. Empty: it does."""
        try:
            with server_apart(self.cluster, older, seconds=2 * READY_SECONDS, own=self.place.own):
                return ""
        except NotReadyError as error:
            return str(error)


def _head(props: SpiceDBProps) -> str | None:
    """The newest revision of a release, as far as this package knows it."""
    engine = props.releases.engines.get(props.datastore.engine)
    return engine.heads.get(props.version) if engine else None


def _failure(outcome: Outcome) -> str:
    """Why an upgrade or a rollback did not do what it should. Empty: it did. Raises `KeyboardInterrupt` if somebody
    interrupted it."""
    if outcome.state is State.INTERRUPTED:
        raise KeyboardInterrupt
    return "" if outcome.state in (State.DONE, State.PAUSED) else outcome.reason or outcome.state.value
