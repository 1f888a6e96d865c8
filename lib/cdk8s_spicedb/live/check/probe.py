"""Asks the program of a release itself: what it knows, and what it does not take."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from ...manifests import release_manifests
from ...manifests.objects import Manifest
from ...manifests.trial import TRIAL, program_manifest, trial_manifest
from ...props import SpiceDBProps
from ...props.flags import ENGINE
from ..apierror import ClusterError
from ..cluster import DEPLOYMENT, JOB, Cluster, Kind
from ..pods import container_of
from ..runs import owned, run_pods
from ..text import redacted
from .said import SECONDS, UnknownError, end_of, has_ended, is_tried, log_of, rejection

_HEAD = re.compile(r"^[\w-]+$", re.MULTILINE)
_WRONG = re.compile(
    r"^(?:unknown flag: --|invalid argument .* for \"--|flag needs an argument: --)([\w-]+).*", re.MULTILINE
)
_MOST = 20
"""Flags of one command that are told."""


@frozen(kw_only=True)
class Probe:
    """What the program of a release says."""

    version: str
    """The release."""
    head: str | None = None
    """Newest revision of the datastore that it knows. None: it did not say so."""
    wrong_flags: Sequence[str] = ()
    """What it says about arguments of the servers and the migration that it does not take, such as
    ``unknown flag: --bogus``."""
    rejection: str | None = None
    """Why it rejects the SpiceDB schema. None: it accepts it, or nobody asked."""
    unknown: Sequence[str] = ()
    """What could not be found out, and why."""


def probe(cluster: Cluster, props: SpiceDBProps, schema: str | None = None) -> Probe:
    """Asks the program in the image of the props, in pods that run for a moment: for the newest revision that it knows,
    whether it takes the arguments of the servers and the migration, and whether it accepts a schema.

    The pods get no Secret and no datastore. Variables are not tried, because SpiceDB ignores those that it does not
    know.
    """
    return _Prober(cluster, props, []).run(schema)


@frozen
class _Prober:
    cluster: Cluster
    props: SpiceDBProps
    unknown: list[str]

    def run(self, schema: str | None) -> Probe:
        """Asks for everything at once, and then again without the flags that are wrong."""
        commands = _commands(self.props)
        engine = self.props.datastore.engine
        asked = [*commands, ["spicedb", "datastore", "head", f"--{ENGINE}={engine}"]]
        trials = [trial_manifest(self.props, schema)] if schema is not None else []
        *logs, head = self._logs(asked, trials)
        rejected = logs.pop(0) if trials else None
        wrong = [text for command, log in zip(commands, logs, strict=True) for text in self._wrong(command, log)]
        known = _HEAD.findall(head or "")
        return Probe(
            version=self.props.version,
            head=known[-1] if known else None,
            wrong_flags=list(dict.fromkeys(wrong)),
            rejection=rejected,
            unknown=self.unknown,
        )

    def _wrong(self, command: Sequence[str], log: str | None) -> list[str]:
        """What the program says about wrong flags. It names one at a time."""
        told = list[str]()
        while log is not None and len(told) < _MOST and (found := _WRONG.search(log)):
            told.append(redacted(found[0]))
            flag = found[1]
            command = [word for word in command if word.partition("=")[0] != f"--{flag}"]
            (log,) = self._logs([command])
        return told

    def _logs(self, commands: Sequence[Sequence[str]], trials: Sequence[Manifest] = ()) -> list[str | None]:
        """Why trials were rejected, and what commands print. None: they were not, or it is not known."""
        pods = [*trials, *(program_manifest(self.props, command) for command in commands)]
        made = owned(self.cluster, self.props.name, pods)
        tried = {each["metadata"]["name"] for each in trials}

        def is_done(pod: Manifest) -> bool:
            # A container without a probe is ready while it runs.
            return is_tried(pod) if pod["metadata"]["name"] in tried else has_ended(pod)

        with run_pods(self.cluster, made, done=is_done, seconds=SECONDS) as seen:
            pairs = list(zip(made, seen, strict=True))
            rejected = [self._known(rejection(self.cluster, *pair)) for pair in pairs[: len(trials)]]
            return [*rejected, *(self._log(*pair) for pair in pairs[len(trials) :])]

    def _log(self, pod: Manifest, seen: Manifest | ClusterError | None) -> str | None:
        try:
            end_of(seen, TRIAL)
        except UnknownError as error:
            return self._known(error)
        # The newest revision is after other lines. An error about a flag is before the long usage.
        return log_of(self.cluster, pod, TRIAL, lambda log: bool(_HEAD.search(log) or "Flags:" in log))

    def _known(self, answer: str | UnknownError | None) -> str | None:
        if isinstance(answer, UnknownError):
            self.unknown.append(str(answer))
            return None
        return answer


def _commands(props: SpiceDBProps) -> list[list[str]]:
    """The commands of the servers and the migration, which only print their help."""
    templates = [each["spec"]["template"] for each in release_manifests(props) if Kind.of(each) in (DEPLOYMENT, JOB)]
    containers = [container_of(each) for each in templates]
    words = [[*each.get("command", ()), *each.get("args", ())] for each in containers]
    return [[*each, "--help"] for each in words if each[0] == "spicedb"]
