"""What Helm remembers of a release."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from cdk8s_spicedb.errors import SpiceDBError
from cdk8s_spicedb.live.instance import HelmRelease
from cdk8s_spicedb.live.released import deployed, read_stored
from tests.apiserver import ApiServer, Object


def _release(revision: int, state: str) -> HelmRelease:
    return HelmRelease(release="a", revision=revision, status=state, created="", secret=f"v{revision}")


def test_helm_compares_with_the_deployed_revision() -> None:
    assert deployed([]) is None
    revisions = [_release(1, "superseded"), _release(2, "deployed"), _release(3, "failed")]
    found = deployed(revisions)
    assert found is not None
    assert found.revision == 2
    found = deployed(revisions[::2])
    assert found is not None
    assert found.revision == 3


@pytest.mark.parametrize("compressed", [True, False])
def test_manifests_in_helms_secret(compressed: bool) -> None:
    service, role = (f"{{apiVersion: v1, kind: {kind}, metadata: {{name: a}}}}" for kind in ("Service", "Role"))
    manifest = f"---\n# Source: a\n{service}\n---\n---\n{role}\n"
    text = json.dumps({"manifest": manifest, "config": {"server": {"replicas": 3}}}).encode()
    content = base64.b64encode(gzip.compress(text) if compressed else text)
    data = {"release": base64.b64encode(content).decode()}
    stored = read_stored(_kept(data).cluster(), _release(1, "deployed"))
    assert [each["kind"] for each in stored.manifests] == ["Service", "Role"]
    assert stored.values == {"server": {"replicas": 3}}
    with pytest.raises(SpiceDBError, match="cannot read the manifests in Helm's Secret v1"):
        read_stored(_kept({"release": "YWJj"}).cluster(), _release(1, "deployed"))


def _kept(data: Object) -> ApiServer:
    api = ApiServer()
    api.put("secrets", {"metadata": {"name": "v1"}, "data": data})
    return api
