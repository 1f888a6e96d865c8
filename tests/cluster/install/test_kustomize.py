"""The kustomization of the documentation: another name, with kustomize's own way to change names."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
import yaml

from cdk8s_spicedb import Delivery, ServerProps
from cdk8s_spicedb.files.folder import write_manifests
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, run
from tests.lab.props import KEY, NEW, OLD, on_postgres

_PAGE = Path(__file__).parents[3] / "docs" / "install" / "kustomize.md"
_NAME = "prod-spicedb"


def _blocks() -> dict[str, str]:
    """The files of the page, by the path in their first line."""
    return dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", _PAGE.read_text(), flags=re.DOTALL))


@pytest.mark.parametrize("folder", ["prod", "dispatch"])
def test_servers_with_a_prefix_serve(namespace: Namespace, postgres: None, tmp_path: Path, folder: str) -> None:
    server = ServerProps(replicas=2, dispatch_enabled=folder == "dispatch")
    for path, text in _blocks().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    prod = tmp_path / folder / "kustomization.yaml"
    prod.write_text(f"{prod.read_text()}namespace: {namespace.name}\n")
    for version in (OLD, NEW):
        props = attrs.evolve(on_postgres(version, server=server), delivery=Delivery.KUBECTL)
        write_manifests(tmp_path / "base" / "spicedb", props)
        manifests = run("kubectl", "kustomize", str(prod.parent)).stdout
        names = {each["metadata"]["name"] for each in yaml.safe_load_all(manifests)}
        assert all(name.startswith("prod-") for name in names)
        namespace.kubectl("apply", "--filename=-", text=manifests)
        namespace.kubectl("rollout", "status", f"deployment/{_NAME}", "--timeout=120s")
    with relay(namespace, _NAME) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check_many() == {False}, "servers that dispatch find each other by the new name"
    jobs = namespace.list("jobs", instance=_NAME)
    assert len(jobs) == 2, "the Job of each release has a name of its own"
