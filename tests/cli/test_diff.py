"""The command ``diff``: its text and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.diff import lines
from cdk8s_spicedb.live import Cluster
from cdk8s_spicedb.live.compare import Change, FieldDiff, ObjectDiff
from cdk8s_spicedb.live.diff import Diff
from tests.live.installed import (
    BY_HELM,
    OLD,
    applied,
    helm_keeps,
    props,
)


def test_diff_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "spicedb.yaml"
    file.write_text("version: v1.52.0\ndatastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n")
    api = applied(props(OLD), **BY_HELM)
    helm_keeps(api)
    monkeypatch.setattr(Cluster, "connect", lambda **_: api.cluster())
    assert main(["diff", "-f", str(file), "--exit-code"]) == 0
    assert capsys.readouterr().out.startswith("No changes in namespace authz: ")
    api.get("deployments", "spicedb")["spec"]["replicas"] = 5
    assert main(["diff", "-f", str(file)]) == 0
    assert "- spec.replicas: 5\n+ spec.replicas: 2\n" in capsys.readouterr().out
    assert main(["diff", "-f", str(file), "--exit-code", "--output=json"]) == 3
    assert json.loads(capsys.readouterr().out)["name"] == "spicedb"


def test_text() -> None:
    fields = (
        FieldDiff(path="spec.replicas", before=2, after=3),
        FieldDiff(path="data.schema", before="a\nb\nc", after="a\nB\nc"),
        FieldDiff(path="spec.args[--insecure]", before=None, after=""),
        FieldDiff(path="data.long", before=None, after="a\n" * 30),
    )
    objects = (
        ObjectDiff(kind="Deployment", name="a", change=Change.CHANGED, fields=fields),
        ObjectDiff(kind="Role", name="a", change=Change.DELETED, fields=fields),
        ObjectDiff(kind="Service", name="a", change=Change.UNCHANGED),
    )
    found = Diff(name="a", namespace="authz", objects=objects, meaning=("It restarts.",))
    assert found.changes
    assert list(lines(found)) == [
        "== Deployment a: changed",
        "- spec.replicas: 2",
        "+ spec.replicas: 3",
        "@@ data.schema",
        "@@ -1,3 +1,3 @@",
        " a",
        "-b",
        "+B",
        " c",
        "+ spec.args[--insecure]",
        "@@ data.long",
        "+ (30 lines)",
        "",
        "== Role a: deleted",
        "",
        "1 other object is unchanged.",
        "",
        "What this means:",
        "  * It restarts.",
    ]
    script = FieldDiff(path="spec.args", before="a\n(hidden)", after="a\n(hidden)")
    hidden = ObjectDiff(kind="Deployment", name="a", change=Change.CHANGED, fields=(script,))
    assert list(lines(Diff(name="a", namespace="authz", objects=(hidden,), meaning=())))[1:3] == [
        "@@ spec.args",
        "  (only what is hidden differs)",
    ]
    sql = FieldDiff(path="data.sql", before="-- one\nselect", after="++ two\nselect")
    changed = ObjectDiff(kind="ConfigMap", name="a", change=Change.CHANGED, fields=(sql,))
    text = list(lines(Diff(name="a", namespace="authz", objects=(changed,), meaning=())))
    assert text[2:6] == ["@@ -1,2 +1,2 @@", "--- one", "+++ two", " select"]
    same = Diff(name="a", namespace="authz", objects=objects[2:], meaning=())
    assert list(lines(same)) == ["No changes in namespace authz: 1 object is as in the file."]
