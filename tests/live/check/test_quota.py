"""ResourceQuotas: what a roll-out needs, and what is free."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import BackupProps, Delivery, Resources, ServerProps, SpiceDBProps
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.check.quota import pod_amounts, quota_findings
from cdk8s_spicedb.manifests import release_manifests
from tests.live.installed import installable, props


def found(
    hard: dict[str, str], used: dict[str, str], *, settings: SpiceDBProps | None = None, servers: int = 0, **spec: Any
) -> list[Finding]:
    """Findings for one quota. With servers, these are the ones of the same settings."""
    wanted, cluster = settings or props(), installable()
    quota = {"spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used}}
    cluster.put("resourcequotas", {"metadata": {"name": "compute"}, **quota})
    manifests = release_manifests(wanted)
    template = next(each for each in manifests if each["kind"] == "Deployment")["spec"]["template"]
    return list(quota_findings(cluster.cluster(), wanted, manifests, template if servers else None, servers))


def failure(*arguments: Any, **options: Any) -> str | None:
    (finding,) = found(*arguments, **options)
    return finding.text if finding.level is Level.FAILURE else None


def test_an_install_needs_all_servers() -> None:
    assert failure({"requests.cpu": "500m"}, {}) is None
    text = failure({"requests.cpu": "499m"}, {})
    assert text == "the roll-out needs 500m of requests.cpu in addition to what runs, and 499m of 499m is free"


def test_an_upgrade_needs_one_more_server() -> None:
    assert failure({"requests.memory": "768Mi"}, {"requests.memory": "512Mi"}, servers=2) is None
    text = failure({"requests.memory": "767Mi"}, {"requests.memory": "512Mi"}, servers=2)
    assert text == "the roll-out needs 256Mi of requests.memory in addition to what runs, and 255Mi of 767Mi is free"


def test_the_fix_says_how_much_is_enough() -> None:
    (finding,) = found({"pods": "2"}, {"pods": "2"}, servers=2)
    assert finding.fix.startswith("raise pods of the quota to 3,")


def test_more_servers_need_more() -> None:
    settings = props(server=ServerProps(replicas=4))
    assert failure({"pods": "6"}, {"pods": "2"}, settings=settings, servers=2) is None
    assert failure({"pods": "5"}, {"pods": "2"}, settings=settings, servers=2) is not None


def test_a_backup_needs_room_when_the_roll_out_is_over() -> None:
    backup = BackupProps(
        schedule="@daily", resources=Resources(requests={"cpu": "3"}, limits={"cpu": "3", "memory": "1Gi"})
    )
    assert failure({"requests.cpu": "3"}, {}, settings=props(backup=backup)) is None
    assert "needs 3 of requests.cpu" in str(failure({"requests.cpu": "2"}, {}, settings=props(backup=backup)))


def test_without_a_surge_only_the_migration_needs_room() -> None:
    settings = props(server=ServerProps(max_surge=0, max_unavailable=1))
    assert failure({"pods": "3"}, {"pods": "2"}, settings=settings, servers=2) is None
    assert failure({"requests.cpu": "600m"}, {"requests.cpu": "500m"}, settings=settings, servers=2) is None
    assert failure({"pods": "2"}, {"pods": "2"}, settings=settings, servers=2) is not None


def test_kubectl_starts_the_migration_together_with_the_servers() -> None:
    settings = attrs.evolve(props(), delivery=Delivery.KUBECTL)
    assert failure({"pods": "4"}, {"pods": "2"}, settings=settings, servers=2) is None
    assert failure({"pods": "3"}, {"pods": "2"}, settings=settings, servers=2) is not None


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ({"scopes": ["NotTerminating", "NotBestEffort"]}, True),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "Terminating", "operator": "Exists"}]}}, False),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
                }
            },
            False,
        ),
        (
            {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}},
            True,
        ),
    ],
)
def test_a_quota_counts_only_pods_in_its_scope(scope: dict[str, Any], counts: bool) -> None:
    assert (failure({"pods": "0"}, {}, **scope) is not None) is counts


def test_quotas_of_other_objects_are_none_of_this() -> None:
    assert failure({"count/roles.rbac.authorization.k8s.io": "0"}, {}) is None


def test_without_quotas_and_without_the_right() -> None:
    arguments = (props(), release_manifests(props()), None, 0)
    (finding,) = quota_findings(installable().cluster(), *arguments)
    assert finding == Finding.ok("ResourceQuotas", "the namespace has none")
    (finding,) = quota_findings(installable(("list", "resourcequotas")).cluster(), *arguments)
    assert finding.level is Level.WARNING


def test_a_pod_needs_its_containers_and_its_largest_start() -> None:
    def container(cpu: str, **fields: str) -> dict[str, Any]:
        return {"resources": {"limits": {"cpu": cpu}}, **fields}

    spec = {
        "containers": [container("100m"), container("200m")],
        "initContainers": [container("350m"), container("10m", restartPolicy="Always")],
    }
    amounts = pod_amounts(spec)
    assert amounts["requests.cpu"] == amounts["limits.cpu"] == amounts["cpu"]
    assert str(amounts["cpu"].normalize()) == "0.35"
