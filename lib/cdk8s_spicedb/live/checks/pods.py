"""A dry run of a pod of each kind. Pod Security, limits and quotas apply only to pods, not to Deployments and Jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import httpx2

from ...manifests.manifest import Manifest
from ..cluster import RESOURCE_QUOTA, Cluster, ClusterError, Kind
from ..finding import Finding
from ..parallel import parallel
from .templates import PodTemplate, pod_templates

SERVICE_ACCOUNT = Kind("v1", "ServiceAccount")
_NO_RIGHT = re.compile(r"cannot create resource")


def pod_findings(cluster: Cluster, manifests: Sequence[Manifest]) -> Iterator[Finding]:
    """One finding for each kind of pod that the cluster would refuse, or one that it takes all."""
    own = {each["metadata"]["name"] for each in manifests if each["kind"] == SERVICE_ACCOUNT.kind}
    templates = list(pod_templates(manifests))
    found = [finding for each in parallel(lambda t: list(_pod(cluster, t, own)), templates) for finding in each]
    yield from found
    if not found:
        names = ", ".join(template.component.value for template in templates)
        yield Finding.ok("Pods", f"the cluster accepts the pods of {names} (dry run)")


def _pod(cluster: Cluster, template: PodTemplate, own: set[str]) -> Iterator[Finding]:
    subject, spec = f"Pod of {template.owner}", template.spec
    account = spec.get("serviceAccountName")
    if account and not has_account(cluster, account):
        if account not in own:
            text = f"its ServiceAccount {account} does not exist"
            fix = f"create it with `kubectl create serviceaccount {account} --namespace {cluster.namespace}`"
            yield Finding.failure(subject, text, fix)
        # The release creates the account, and a pod without it is refused.
        del spec["serviceAccountName"]
    metadata = {**template.template["metadata"], "generateName": "dry-run-"}
    try:
        cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, dry_run=True)
    except ClusterError as error:
        if error.status is None:
            raise
        # The quotas have their own findings, which count all pods of a roll-out.
        if "exceeded quota" not in str(error) or not cluster.may("list", RESOURCE_QUOTA):
            yield _refused(subject, template, error)


def has_account(cluster: Cluster, name: str) -> bool:
    """Whether a ServiceAccount exists. Without the right to ask, it is taken not to."""
    try:
        return cluster.get(SERVICE_ACCOUNT, name) is not None
    except ClusterError as error:
        if error.status != httpx2.codes.FORBIDDEN:
            raise
        return False


def _refused(subject: str, template: PodTemplate, error: ClusterError) -> Finding:
    text = str(error)
    # Kubernetes begins with the name, which is that of the dry run.
    text = re.sub(r'^pods "dry-run-[^"]*" is forbidden: ', "", text)
    if error.status == httpx2.codes.FORBIDDEN and _NO_RIGHT.search(text):
        rule = '{apiGroups: [""], resources: ["pods"], verbs: ["create"]}'
        fix = f"to enable this check, add to your Role: {rule}. An upgrade does not need it"
        return Finding.warning(subject, "not tried: you have no right to create pods", fix)
    return Finding.failure(subject, f"the cluster refuses it: {text}", _fix(text, template.settings))


def _fix(text: str, settings: str) -> str:
    resources = f"change {settings}.resources in the file"
    if "violates PodSecurity" in text:
        return (
            "remove the patches that change security settings: without patches, all pods meet the `restricted` Pod "
            "Security Standard. Or change the label pod-security.kubernetes.io/enforce of the namespace"
        )
    if "security context constraint" in text:
        return "set openshift: true in the file"
    if "exceeded quota" in text:
        return f"raise the ResourceQuota (`kubectl describe resourcequota`), or {resources}"
    if "must specify" in text or "failed quota" in text:
        return f"the ResourceQuota needs amounts for all of these: {resources}"
    if "per Container" in text or "per Pod" in text or "ratio" in text:
        return f"{resources}, or the LimitRange (`kubectl describe limitrange`)"
    if "PriorityClass" in text:
        return f"create the PriorityClass, or change {settings}.priorityClassName in the file"
    return f"change what the message names: {settings} in the file, or the policy of the cluster"
