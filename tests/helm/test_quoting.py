"""No value of a chart changes its type or leaves its place, whatever text or number it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest

from cdk8s_spicedb import ServerProps, SpiceDBProps, write_helm_chart
from cdk8s_spicedb.labels import CHECKSUM
from cdk8s_spicedb.manifests import release_manifests
from tests import charts
from tests.synth import POSTGRES, Object, matrix

PROPS = matrix()["postgres-uri-full"]
PROGRAMS = ["library", *filter(shutil.which, ("helm", "helm3"))]
"""The Helm that Python loads, and those on PATH."""

# Words and numbers of YAML 1.1 and 1.2, as far as they can be names.
NAMES = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "e1", "nan", "inf", "x0"]
OBJECT_NAMES = [*NAMES, "123", "08", "0x1f", "0b1", "0o17", "1e3", "1.5", "2030-01-01", "2030-1-1"]
TEXTS = [
    *OBJECT_NAMES,
    *("Y", "N", "~", "1_000", ".5e1", "+1", "-1", "1:20", ".nan", ".inf", "=", "<<", "-", "?", "---", "..."),
    *("{PWNED: 1}", "[a]", "a: b", "a #b", "#", "- a", "? a", "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", "'", '"'),
    *("\\", "{{ .Release.Name }}", "}}", " a ", "\t", "a\tb", "a\nb: c", "a\n", "\na", "a\n\n", " a\nb\n", "a\r\nb"),
    *("\ufeff", "\xa0", "\x07", "é\U0001f600", "cdk8s-spicedb"),
]
"""One is a template, which Helm renders. Without U+0085, U+2028, U+2029 and U+007F: Helm's own toYaml writes them so
that nothing reads them."""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chart") / "chart"
    write_helm_chart(folder, PROPS)
    return folder


def rendered(program: str, folder: Path, values: Mapping[str, Any]) -> list[Object]:
    """The objects that a Helm renders, as Kubernetes reads them, without the checksum of the migration's values."""
    if program == "library":
        text = "---\n".join(text for name, text in charts.texts(folder, values).items() if name != "NOTES.txt")
    else:
        command = [program, "template", "release", str(folder), "--kube-version", "v1.30.0", "--values", "-"]
        text = subprocess.run(
            command, input=json.dumps(values, ensure_ascii=False), capture_output=True, text=True, check=True
        ).stdout
    found = [helm.values_from_yaml(part) for part in re.split(r"^---\n", text, flags=re.MULTILINE)]
    return without_checksum(each for each in found if each)


def without_checksum(objects: Iterable[Object]) -> list[Object]:
    found = deepcopy(list(objects))
    for each in found:
        metadata = each.get("spec", {}).get("template", {}).get("metadata", {})
        if metadata.get("annotations", {}).pop(CHECKSUM, None) and not metadata["annotations"]:
            del metadata["annotations"]
    return found


def replaced(node: Any, texts: Mapping[str, str]) -> Any:
    """Objects with other texts in place of some."""
    if isinstance(node, dict):
        return {replaced(key, texts): replaced(item, texts) for key, item in node.items()}
    if isinstance(node, list):
        return [replaced(item, texts) for item in node]
    if isinstance(node, str):
        for before, after in texts.items():
            node = node.replace(before, after)
    return node


def in_all_places(texts: Sequence[str]) -> dict[str, Any]:
    """Values with texts wherever a value may be any text."""
    numbered = {f"key-{number}": text for number, text in enumerate(texts)}
    arguments = [f"--experimental-lookup-resources-version={text}" for text in texts]
    of_migration = [f"--pprof-mutex-profile-rate={text}" for text in texts]
    env = [{"name": f"KEY_{number}", "value": text} for number, text in enumerate(texts)]
    volumes = [{"name": f"v{number}", "hostPath": {"path": text}} for number, text in enumerate(texts)]
    pods = {"podAnnotations": numbered, "extraEnv": env, "extraVolumes": volumes}
    return {
        **pods,
        "extraArgs": arguments,
        "migrations": {**pods, "extraArgs": of_migration, "cleanup": {"podAnnotations": numbered}},
        "commonAnnotations": numbered,
        "service": {"annotations": numbered},
        "serviceAccount": {"annotations": numbered},
        "tolerations": [{"key": text} for text in texts],
        "extraContainers": [{"name": text, "image": "x", "command": [text]} for text in texts],
    }


def different(found: Sequence[Object], wanted: Sequence[Object]) -> list[tuple[Any, Any]]:
    """The objects that only one of both has. The hash in the name of a Job does not count."""

    def sorted_(objects: Sequence[Object]) -> list[str]:
        return sorted(re.sub("-volume-[0-9a-f]{7}", "-volume", json.dumps(each, sort_keys=True)) for each in objects)

    return [(one, other) for one, other in zip(sorted_(found), sorted_(wanted), strict=True) if one != other]


@pytest.mark.parametrize("program", PROGRAMS)
def test_any_text_stays_what_it_is(program: str, chart: Path) -> None:
    # One letter more than the number, so that no text contains another.
    plain = [f"text-{number}-" for number in range(len(TEXTS))]
    texts = [text.replace("{{ .Release.Name }}", "release") for text in TEXTS]
    wanted = replaced(rendered(program, chart, in_all_places(plain)), dict(zip(plain, texts, strict=True)))
    assert different(rendered(program, chart, in_all_places(TEXTS)), wanted) == []


def _named(name: str, account: str) -> dict[str, Any]:
    """Values with a name in each place for one. Those of objects may also be numbers."""
    pair = {"name": account, "key": account}
    labels = {"key": account}
    return {
        "fullnameOverride": name,
        "serviceAccount": {"name": account, "annotations": None},
        "image": {"repository": f"registry.example.com/{name}", "tag": account},
        "priorityClassName": account,
        "imagePullSecrets": [{"name": account}],
        "podLabels": labels,
        "commonLabels": labels,
        "nodeSelector": labels,
        "allowedMigrations": [name],
        "secrets": {"presharedKey": pair, "datastoreUri": pair},
        "migrations": {"priorityClassName": account, "podLabels": labels, "nodeSelector": labels},
    }


_FEW = {"on": "1e3", "y": "0o17"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_any_name_stays_a_name(program: str, chart: Path) -> None:
    before = rendered(program, chart, _named("name-a", "name-b"))
    names = [*NAMES, *NAMES[: len(OBJECT_NAMES) - len(NAMES)]]
    for name, account in zip(names, OBJECT_NAMES, strict=True) if program == "library" else _FEW.items():
        wanted = replaced(before, {"name-a": name, "name-b": account})
        assert different(rendered(program, chart, _named(name, account)), wanted) == []


@pytest.mark.parametrize("name", ["on", "null", "y"])
def test_any_name_in_the_props_stays_a_name(name: str, tmp_path: Path) -> None:
    props = SpiceDBProps(name=name, datastore=POSTGRES, server=ServerProps(service_account="1e3"))
    write_helm_chart(tmp_path / "chart", props, name="2024")
    found = rendered("library", tmp_path / "chart", {})
    assert {each["metadata"]["labels"]["helm.sh/chart"] for each in found} == {"2024-0.1.0"}
    assert charts.same(charts.without_chart_labels(found), without_checksum(release_manifests(props)))


@pytest.mark.parametrize("account", ["{PWNED: 1}", "a\nb: c", "a: b", "a b", "Upper"])
def test_a_service_account_that_is_no_name_is_refused(account: str, chart: Path) -> None:
    with pytest.raises(helm.HelmError, match="/serviceAccount/name"):
        charts.texts(chart, {"serviceAccount": {"name": account}})


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_large_number_is_written_in_digits(program: str, chart: Path) -> None:
    found = json.dumps(rendered(program, chart, {"migrations": {"backfillBatchSize": 1_000_000}}))
    assert '"--migration-backfill-batch-size=1000000"' in found
    with pytest.raises((helm.HelmError, subprocess.CalledProcessError)):
        rendered(program, chart, {"terminationGracePeriodSeconds": 1_000_000})
