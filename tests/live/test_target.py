"""What must hold before an upgrade."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.files.yaml import dump
from cdk8s_spicedb.labels import Component, selector_labels
from cdk8s_spicedb.live.instance import find_running
from cdk8s_spicedb.live.target import require_own, require_same_delivery
from cdk8s_spicedb.live.upgrade.prepare import deliverer_of
from tests.apiserver import ApiServer
from tests.live.installed import (
    NEW,
    props,
    running_in,
    seen_in,
)


def test_release_with_other_objects_or_of_another_chart_is_refused(api: ApiServer) -> None:
    require_own(api.cluster(), running_in(api))
    others = "\n---\n".join(
        dump({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}})
        for name, labels in (("app", {}), ("spicedb", selector_labels("spicedb", Component.SERVER)))
    )
    text = base64.b64encode(gzip.compress(json.dumps({"manifest": others}).encode()))
    api.get("secrets", "sh.helm.release.v1.release.v1")["data"] = {"release": base64.b64encode(text).decode()}
    with pytest.raises(SpiceDBError, match="the Helm release release also has Service app, which an upgrade with this"):
        require_own(api.cluster(), running_in(api))
    del api.get("deployments", "spicedb")["metadata"]["labels"]["app.kubernetes.io/component"]
    with pytest.raises(SpiceDBError, match="the Deployment spicedb was not made by cdk8s-spicedb"):
        require_own(api.cluster(), running_in(api))


def test_a_name_that_another_program_changed_is_refused(api: ApiServer) -> None:
    """As kustomize's namePrefix does."""
    deployment = api.get("deployments", "spicedb")
    api.put("deployments", {**deployment, "metadata": {**deployment["metadata"], "name": "prod-spicedb"}})
    running = find_running(api.cluster(), "prod-spicedb")
    assert running is not None
    with pytest.raises(SpiceDBError, match="such as kustomize, changed the name of spicedb to prod-spicedb; set name:"):
        require_own(api.cluster(), running)


def test_delivery_of_the_file_must_be_that_of_the_release(api: ApiServer) -> None:
    require_same_delivery(props(NEW), running_in(api))
    api.get("deployments", "spicedb")["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = "app:x"
    with pytest.raises(SpiceDBError, match="Argo CD applies this release, so a commit changes it"):
        deliverer_of(api.cluster(), seen_in(api))
