"""The bindings in imports/: generated from the schemas there, and not used by the library."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jsonschema

from cdk8s_spicedb import write_helm_chart
from cdk8s_spicedb.files.read import read_props
from tests import fast_yaml
from tests.programs import ROOT, cdk8s_cli, contents, written

SCHEMA = ROOT / "imports" / "externalsecret.yaml"


def test_bindings_are_up_to_date(tmp_path: Path) -> None:
    cli, env = cdk8s_cli()
    subprocess.run([cli, "import", "--output", str(tmp_path)], cwd=ROOT, env=env, check=True, capture_output=True)
    generated = {path: data for path, data in contents(tmp_path).items() if "__pycache__" not in path}
    committed = {
        f"io/{path}": data for path, data in contents(ROOT / "imports" / "io").items() if "__pycache__" not in path
    }
    assert generated == committed, "run: make imports"


def test_library_does_not_use_the_bindings() -> None:
    modules = (ROOT / "lib").rglob("*.py")
    assert not [module for module in modules if "imports." in module.read_text("utf-8")]


def test_example_is_valid_for_the_schema_and_the_same_in_files(tmp_path: Path) -> None:
    definition = fast_yaml.load(SCHEMA.read_text())
    (version,) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    files = written(ROOT / "examples" / "externalsecret" / "main.py", tmp_path / "dist")
    secret = fast_yaml.load(files["secrets.k8s.yaml"])
    example = ROOT / "examples" / "externalsecret"
    assert secret == fast_yaml.load((example / "externalsecret.yaml").read_text())
    write_helm_chart(tmp_path / "from-file", read_props((example / "spicedb.yaml").read_text(), "spicedb.yaml"))
    assert contents(tmp_path / "chart") == contents(tmp_path / "from-file")
    jsonschema.validate(secret, schema)
    assert secret["apiVersion"] == f"{definition['spec']['group']}/{version['name']}"

    def unknown(value: object, schema: dict[str, object]) -> list[str]:
        """Fields that the schema does not define. Validation accepts them."""
        properties = schema.get("properties", {})
        assert isinstance(properties, dict)
        if isinstance(value, list):
            items = schema["items"]
            assert isinstance(items, dict)
            return [name for item in value for name in unknown(item, items)]
        if not isinstance(value, dict):
            return []
        inner = [name for key, item in value.items() if key in properties for name in unknown(item, properties[key])]
        return [*(key for key in value if key not in properties), *inner]

    assert unknown(secret["spec"], schema["properties"]["spec"]) == []
