"""Whether the releases of an upgrade accept the SpiceDB schema. Each one tries it itself, in a pod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve, frozen

from ...delivery import Delivery
from ...errors import InvalidProps
from ...manifests.jobs import schema_read_manifests
from ...manifests.objects import Manifest
from ...manifests.trial import lone_pod, trial_manifest
from ...props import SpiceDBProps
from ..cluster import Cluster
from ..pods import container_of
from ..runs import owned, run_pods
from ..schema import client_of, says_none, schema_in
from ..target import props_at
from .finding import Finding
from .plan import Planned
from .said import SECONDS, UnknownError, end_of, error_in, has_ended, is_tried, log_of, rejection

_SUBJECT = "SpiceDB schema"
_MOST_BYTES = 200_000
"""Size of the largest schema that fits into an annotation of a pod, which has 256 KiB for all of them."""
_BY_HAND = "check again, or write the schema to a SpiceDB of the new release by hand, and leave it out with --no-schema"


@frozen
class _Text:
    """A schema that is going to be written or served."""

    name: str
    """What it is, in words."""
    text: str
    is_written: bool
    """Whether the upgrade writes it."""
    fix: str
    """What to do if a release rejects it."""

    @property
    def fits(self) -> bool:
        """Whether a pod can carry it."""
        return len(self.text.encode()) <= _MOST_BYTES


def schema_findings(cluster: Cluster, props: SpiceDBProps, upgrade: Planned) -> Iterator[Finding]:
    """Whether each release that is going to run accepts the schema of the file, and the one of the servers."""
    texts, unread = _texts(cluster, props, upgrade)
    yield from unread
    releases = _releases(props, upgrade)
    if not texts or not releases:
        return
    trials = {(text, version): trial_manifest(each, text.text) for text in texts for version, each in releases.items()}
    tried = _try(cluster, props, {key: pod for key, pod in trials.items() if key[0].fits})
    for text in texts:
        yield from _findings(text, {version: tried.get((text, version), _TOO_LARGE) for version in releases})


_TOO_LARGE = UnknownError(f"it has more than {_MOST_BYTES} bytes")


def _texts(cluster: Cluster, props: SpiceDBProps, upgrade: Planned) -> tuple[list[_Text], list[Finding]]:
    """The schemas to try, and a finding about the one of the servers if it was read, or could not be."""
    texts = []
    text = _text_of(props)
    if text is not None:
        texts.append(_Text("the schema of the file", text, True, "correct schema.text in the file"))
    if not _concerns_servers(props, upgrade):
        return texts, []
    try:
        live = _read(cluster, props)
    except UnknownError as error:
        return texts, [Finding.warning(_SUBJECT, f"the schema of the servers was not tried: {error}", _BY_HAND)]
    if live is None:
        return texts, [Finding.ok(_SUBJECT, "the servers have none yet")]
    fix = "write a schema that the release accepts with `zed schema write`, and check again"
    return [*texts, _Text("the schema of the servers", live, upgrade.rewrites_schema, fix)], []


def _concerns_servers(props: SpiceDBProps, upgrade: Planned) -> bool:
    """Whether another release gets the schema of the servers. A schema of the file replaces it otherwise."""
    changes = upgrade.plan is not None and any(step.version != upgrade.plan.current for step in upgrade.steps)
    return props.datastore.migrates and (upgrade.rewrites_schema or (changes and _text_of(props) is None))


def _text_of(props: SpiceDBProps) -> str | None:
    """The schema of the file. None if it has none, or names a ConfigMap that holds it."""
    return props.schema.text if props.schema else None


def _releases(props: SpiceDBProps, upgrade: Planned) -> dict[str, SpiceDBProps]:
    """The releases of the steps that are left, with their props. Without steps, the one of the file."""
    found: dict[str, SpiceDBProps] = {}
    for step in upgrade.steps:
        assert upgrade.plan is not None
        try:
            found.setdefault(step.version, props_at(props, upgrade.plan, step))
        except InvalidProps:
            continue  # The check of the images says why.
    return found if upgrade.steps else {props.version: props}


def _findings(text: _Text, answers: Mapping[str, str | UnknownError | None]) -> Iterator[Finding]:
    accept = [version for version, answer in answers.items() if answer is None]
    if accept:
        verb = "accepts" if len(accept) == 1 else "accept"
        yield Finding.ok(_SUBJECT, f"{' and '.join(accept)} {verb} {text.name}")
    for version, answer in answers.items():
        if isinstance(answer, UnknownError):
            yield Finding.warning(_SUBJECT, f"{version} did not try {text.name}: {answer}", _BY_HAND)
        elif answer is not None and text.is_written:
            yield Finding.failure(_SUBJECT, f"{version} rejects {text.name}, which it has to write: {answer}", text.fix)
        elif answer is not None:
            what = f"{version} rejects {text.name}: {answer}. Its servers still use it, but nobody can write it again"
            yield Finding.warning(_SUBJECT, what, text.fix)


# ---------------------------------------------------------------- pods


def _read(cluster: Cluster, props: SpiceDBProps) -> str | None:
    """The schema of the servers. None if there is none. Raises `UnknownError`."""
    manifests = schema_read_manifests(evolve(props, delivery=Delivery.KUBECTL), client_of(props))
    (job,) = (each for each in manifests if each["kind"] == "Job")
    pod = lone_pod(job["spec"]["template"], f"{props.name}-schema")
    container = container_of(pod)["name"]
    with run_pods(cluster, owned(cluster, props.name, [pod]), done=has_ended, seconds=SECONDS) as (seen,):
        end = end_of(seen, container)
        log = log_of(cluster, pod, container, lambda text: bool(schema_in(text) or error_in(text)))
    text = schema_in(log)
    if end["exitCode"] == 0 and text is not None:
        return text
    if end["exitCode"] != 0 and says_none(log):
        return None
    raise UnknownError(f"the pod that reads it failed: {error_in(log) or 'its log is not complete'}")


def _try(
    cluster: Cluster, props: SpiceDBProps, trials: Mapping[tuple[_Text, str], Manifest]
) -> dict[tuple[_Text, str], str | UnknownError | None]:
    """Why each release rejects a schema. None if it accepts it, and `UnknownError` if it could not try it."""
    pods = owned(cluster, props.name, list(trials.values()))
    with run_pods(cluster, pods, done=is_tried, seconds=SECONDS) as seen:
        return {key: rejection(cluster, pod, each) for (key, pod), each in zip(trials.items(), seen, strict=True)}
