"""A dry run of every object on the API server: with all its checks, and without a change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from ...delivery import Delivery
from ...labels import COMPONENT, HELM_HOOK, HELM_RELEASE, LONGEST_NAME, POD_SECURITY, Component
from ...manifests.objects import Manifest, spec_with_pods
from ..apierror import ClusterError, Forbidden, NotFound, Unreachable
from ..cluster import JOB, RESOURCE_QUOTA, Cluster, Kind
from ..poll import parallel
from .finding import Finding

_PROPS = {
    "PodMonitor": ("the Prometheus operator", "monitoring.podMonitor"),
    "PrometheusRule": ("the Prometheus operator", "monitoring.alerts"),
    "GRPCRoute": ("the Gateway API", "server.grpcRoute"),
}
"""The program that brings a kind of object, and the setting that needs it."""
_NO_RIGHT = re.compile(r"cannot (create|patch|update) resource")
_RESOURCES = "change {settings}.resources in the file"
_FIXES = {
    "attempting to grant RBAC permissions": (
        "Kubernetes lets you grant only rights that you have: get the rights in the message yourself, or the verbs "
        "`escalate` and `bind` on roles, or remove server.dispatchEnabled and server.dispatchTls, and set "
        "cleanup.enabled: false"
    ),
    "immutable after creation": (
        "set backup.storage and backup.storageClass as they were. You can only raise the size, if the StorageClass "
        "allows it. Or name another claim in backup.claim"
    ),
    "field is immutable": "give the release another name in the file, or delete this object first",
    "exceeded quota": (
        "raise the ResourceQuota (`kubectl describe resourcequota`), or delete objects that you do not need"
    ),
    "admission webhook|ValidatingAdmissionPolicy": (
        "change the setting that the policy forbids, or ask for an exception from the people who run the policy"
    ),
    "": "change the setting or the patch that makes this field",
}
"""What to do about the refusal of an object, by what its text contains: the first one counts."""
_POD_FIXES = {
    "violates PodSecurity": (
        "remove the patches that change security settings: without patches, all pods meet the `restricted` Pod "
        f"Security Standard. Or change the label {POD_SECURITY} of the namespace"
    ),
    "security context constraint": "set openshift: true in the file",
    "exceeded quota": f"raise the ResourceQuota (`kubectl describe resourcequota`), or {_RESOURCES}",
    "must specify|failed quota": f"the ResourceQuota needs amounts for all of these: {_RESOURCES}",
    "per Container|per Pod|ratio": f"{_RESOURCES}, or the LimitRange (`kubectl describe limitrange`)",
    "PriorityClass": "create the PriorityClass, or change {settings}.priorityClassName in the file",
    "": "change what the message names: {settings} in the file, or the policy of the cluster",
}
"""The same for pods. ``{settings}`` is the part of the file that describes them."""


def no_right(error: ClusterError) -> bool:
    """Whether RBAC forbids the request. If not, an admission policy may refuse its content."""
    return isinstance(error, Forbidden) and _NO_RIGHT.search(str(error)) is not None


def _refused(subject: str, text: str, fixes: Mapping[str, str], settings: str = "") -> Finding:
    fix = next(fix for parts, fix in fixes.items() if re.search(parts, text))
    return Finding.failure(subject, f"the cluster refuses it: {text}", fix.format(settings=settings))


def object_findings(
    cluster: Cluster, delivery: Delivery, manifests: Sequence[Manifest], *, installs: bool
) -> Iterator[Finding]:
    """One finding for each object that the cluster would refuse, or one that it takes all.

    ``installs`` is whether nothing of the release runs yet, so that Helm must find none of its objects.
    """
    found = [finding for finding in parallel(lambda each: _dry_run(cluster, each), manifests) if finding]
    if installs and delivery.is_chart:
        found += [finding for finding in parallel(lambda each: _belongs_to_helm(cluster, each), manifests) if finding]
    yield from found
    if not found:
        yield Finding.ok("Objects", f"the cluster accepts all {len(manifests)} objects (dry run)")


def _dry_run(cluster: Cluster, manifest: Manifest) -> Finding | None:
    kind, subject = Kind.of(manifest), f"{manifest['kind']} {manifest['metadata']['name']}"
    if not cluster.has(kind):
        program, setting = _PROPS.get(kind.kind, ("the program that needs it", ""))
        fix = f"install the CRD {kind.kind} ({kind.api_version}) of {program}"
        fix += f", or remove {setting} from the file" if setting else ""
        return Finding.failure(subject, f"the cluster has no {kind.kind} of {kind.api_version}", fix)
    if kind == JOB:
        # The Job may be there, and its spec is immutable.
        name = manifest["metadata"]["name"][:LONGEST_NAME] + "-dry-run"
        manifest = {**manifest, "metadata": {**manifest["metadata"], "name": name}}
    try:
        cluster.apply(manifest, dry_run=True)
    except Unreachable:
        raise
    except ClusterError as error:
        if kind.kind == "RoleBinding" and isinstance(error, NotFound):
            return None  # Before an install there is no Role to bind. The dry run of the Role asks for the same rights.
        if no_right(error):
            return Finding.warning(subject, f"not tried: {error}", "see the findings about rights")
        if "does not support dry run" in str(error):
            return Finding.warning(subject, f"not tried: {error}", "ask the people who run this admission webhook")
        return _refused(subject, str(error), _FIXES)
    return None


def _belongs_to_helm(cluster: Cluster, manifest: Manifest) -> Finding | None:
    """Whether an object is there that is not Helm's, so that Helm would refuse to install."""
    metadata, kind = manifest["metadata"], Kind.of(manifest)
    if not cluster.has(kind) or HELM_HOOK in metadata.get("annotations", {}):
        return None
    found = cluster.get(kind, metadata["name"])
    if found is None or HELM_RELEASE in found["metadata"].get("annotations", {}):
        return None
    subject = f"{kind.kind} {metadata['name']}"
    text = "already exists, and is not part of a Helm release: Helm refuses to install over it"
    return Finding.failure(subject, text, "delete it, or give the release another name in the file")


@frozen
class PodTemplate:
    """The pod template of a Deployment, a Job or a CronJob."""

    component: Component
    """Its value is also the name of the part of the file that describes these pods."""
    owner: str
    """Kind and name of the object, such as ``Deployment spicedb``."""
    template: Manifest

    @property
    def spec(self) -> Manifest:
        """The spec of the pods."""
        return dict(self.template["spec"])

    @property
    def containers(self) -> list[Manifest]:
        """All containers, also those that run before."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pod_templates(manifests: Iterable[Manifest]) -> Iterator[PodTemplate]:
    """The pod templates of a release."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job", "CronJob"):
            metadata, template = manifest["metadata"], spec_with_pods(manifest)["template"]
            component = Component(metadata["labels"][COMPONENT])
            yield PodTemplate(component, f"{manifest['kind']} {metadata['name']}", template)


SERVICE_ACCOUNT = Kind("v1", "ServiceAccount")


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
            fix = f"create it with `kubectl create serviceaccount {account} {cluster.options()}`"
            yield Finding.failure(subject, text, fix)
        # The release creates the account, and a pod without it is refused.
        del spec["serviceAccountName"]
    metadata = {**template.template["metadata"], "generateName": "dry-run-"}
    try:
        cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, dry_run=True)
    except Unreachable:
        raise
    except ClusterError as error:
        if no_right(error):
            rule = '{apiGroups: [""], resources: ["pods"], verbs: ["create"]}'
            fix = f"to enable this check, add to your Role: {rule}. An upgrade does not need it"
            yield Finding.warning(subject, "not tried: you have no right to create pods", fix)
        # The quotas have their own findings, which count all pods of a roll-out.
        elif "exceeded quota" not in str(error) or not cluster.may("list", RESOURCE_QUOTA):
            # Kubernetes begins with the name, which is that of the dry run.
            text = re.sub(r'^pods "dry-run-[^"]*" is forbidden: ', "", str(error))
            yield _refused(subject, text, _POD_FIXES, template.component.value)


def has_account(cluster: Cluster, name: str) -> bool:
    """Whether a ServiceAccount exists. Without the right to ask, it is taken not to."""
    try:
        return cluster.get(SERVICE_ACCOUNT, name) is not None
    except Forbidden:
        return False
