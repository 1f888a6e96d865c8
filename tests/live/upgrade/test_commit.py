"""The files of each step, for Argo CD and Flux."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cdk8s_spicedb import Delivery, SpiceDBError
from cdk8s_spicedb.live.upgrade.commit import write_next_step
from tests.apiserver import ApiServer
from tests.live.installed import (
    NEW,
    OLD,
    deploy,
    props,
)


def test_files_of_each_step_are_written_when_the_one_before_is_done(api: ApiServer, tmp_path: Any) -> None:
    settings = attrs.evolve(props(NEW), delivery=Delivery.ARGOCD)
    settings = attrs.evolve(settings, server=attrs.evolve(settings.server, schema_mode="read-legacy-write-both"))
    kube, folder = api.cluster(), tmp_path / "step"
    first = write_next_step(kube, settings, folder)
    assert (first.step, first.steps) == (1, 2)
    assert "and run this command again for the next step" in first.text
    with pytest.raises(SpiceDBError, match=r"step 1 of 2 is not done: version of the servers is v1\.52\.0"):
        write_next_step(kube, settings, folder)
    deploy(api, attrs.evolve(settings, server=attrs.evolve(settings.server, schema_mode="read-legacy-write-legacy")))
    second = write_next_step(kube, settings, folder)
    assert second.step == 2
    assert "read-legacy-write-both" in (folder / "spicedb.k8s.yaml").read_text()
    deploy(api, settings)
    for _ in range(2):
        assert write_next_step(kube, settings, folder).text == "All steps are done: SpiceDB v1.56.0 serves."


def test_a_step_of_settings_is_done_when_the_servers_have_them(api: ApiServer, tmp_path: Any) -> None:
    settings = attrs.evolve(props(OLD), delivery=Delivery.ARGOCD)
    deploy(api, settings)
    settings = attrs.evolve(settings, server=attrs.evolve(settings.server, http_enabled=True))
    kube = api.cluster()
    assert write_next_step(kube, settings, tmp_path / "step").step == 1
    with pytest.raises(SpiceDBError, match=r"step 1 of 1 is not done: .*not those of the step: --http-"):
        write_next_step(kube, settings, tmp_path / "step")
    deploy(api, settings)
    assert write_next_step(kube, settings, tmp_path / "step").step is None


def test_chart_of_the_next_step_is_written(api: ApiServer, tmp_path: Any) -> None:
    write_next_step(api.cluster(), props(NEW), tmp_path / "chart")
    assert "version: 1.0.0" in (tmp_path / "chart" / "Chart.yaml").read_text()
