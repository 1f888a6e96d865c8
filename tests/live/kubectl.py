"""The program kubectl, as far as the package uses it: it works on the fake API server."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.programs import Ended
from tests.apiserver import ApiServer
from tests.controllers import roll_out
from tests.fast_yaml import load_all

_PLURALS = {"deployment.apps": "deployments", "lease.coordination.k8s.io": "leases"}
_REVISION = "deployment.kubernetes.io/revision"


@define
class Kubectl:
    """Takes the place of the function that runs programs. What it does not know is an error, as in kubectl."""

    api: ApiServer
    commands: list[list[str]] = field(factory=list)

    def run(self, command: Sequence[str], _: Cluster, **__: object) -> Ended:
        """Runs ``kubectl apply --server-side``, ``kubectl rollout undo | status``, and the question for a UID."""
        self.commands.append([*command])
        options = dict(each.partition("=")[::2] for each in command if each.startswith("--"))
        words = [each for each in command[1:] if not each.startswith("-")]
        namespace = command[command.index("--namespace") + 1]
        if words[0] == "apply" and "--server-side" in options:
            return self._apply(options, namespace)
        if words[0] == "get" and words[1] in _PLURALS and options["--output"] == "jsonpath={.metadata.uid}":
            return Ended(True, str(self.api.get(_PLURALS[words[1]], words[2], namespace)["metadata"]["uid"]))
        if words[:2] == ["rollout", "undo"]:
            return self._undo(words[2].rpartition("/")[2], options["--to-revision"], namespace)
        if words[:2] == ["rollout", "status"]:
            return Ended(True, "")
        return Ended(False, f"error: unknown command {shlex.join(command)}")

    def _apply(self, options: dict[str, str], namespace: str) -> Ended:
        force = {"force": "true"} if "--force-conflicts" in options else {}
        client = self.api.client()
        for manifest in load_all(Path(options["--filename"]).read_text(encoding="utf-8")):
            response = client.patch(
                self.api.path_of(manifest, namespace),
                params={"fieldManager": "kubectl", **force},
                json=manifest,
                headers={"Content-Type": "application/apply-patch+yaml"},
            )
            if response.is_error:
                return Ended(False, f"Error from server: {response.json()['message']}")
        return Ended(True, "")

    def _undo(self, name: str, revision: str, namespace: str) -> Ended:
        deployment = self.api.get("deployments", name, namespace)
        for each in self.api.of("replicasets", namespace):
            if each["metadata"]["annotations"].get(_REVISION) == revision:
                labels = dict(each["spec"]["template"]["metadata"]["labels"])
                labels.pop("pod-template-hash")
                template = {**each["spec"]["template"]}
                template["metadata"] = {**template["metadata"], "labels": labels}
                deployment["spec"]["template"] = template
                deployment["metadata"]["generation"] += 1
                roll_out(self.api, name, namespace)
                return Ended(True, "")
        return Ended(False, f"error: unable to find specified revision {revision} in history")
