"""The chart in an OCI registry: push, install, upgrade, and signatures."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from attrs import frozen

from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, run
from tests.lab.databases import postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, NEW_HEAD, OLD, on_postgres

from .processes import require_programs
from .registry import PLAIN_HTTP, Registry, package, registry

SIGNER = "Test <test@example.com>"


@frozen
class Keys:
    """A key to sign charts, and the key to verify them."""

    secret: Path
    public: Path


@pytest.fixture
def charts(tmp_path: Path) -> Iterator[Registry]:
    require_programs("registry")
    with registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[Keys]:
    """A new key in the format that Helm reads."""
    require_programs("gpg", "gpgconf")
    # GnuPG's socket needs a short path.
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        gpg = ("gpg", f"--homedir={home}", "--batch", "--pinentry-mode=loopback", "--passphrase=")
        run(*gpg, "--quick-generate-key", SIGNER, "rsa3072", "sign", "never")
        found = Keys(tmp_path / "secret.gpg", tmp_path / "public.gpg")
        run(*gpg, f"--output={found.secret}", "--export-secret-keys")
        run(*gpg, f"--output={found.public}", "--export")
        yield found
        run("gpgconf", f"--homedir={home}", "--kill", "gpg-agent")


def _helm(helm: Helm, namespace: Namespace, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run(helm.program, f"--namespace={namespace.name}", *arguments, check=check)


def test_installs_and_upgrades_from_a_registry(
    any_helm: Helm, charts: Registry, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    for version, release in (("1.0.0", OLD), ("2.0.0", NEW)):
        pushed = charts.push(
            package(on_postgres(release), version, tmp_path, program=any_helm.program), any_helm.program
        )
        assert f"spicedb:{version}" in pushed
    chart, options = f"{charts.address}/spicedb", (PLAIN_HTTP, "--wait", "--timeout=180s")
    shown = yaml.safe_load(_helm(any_helm, namespace, "show", "chart", chart, "--version=1.0.0", PLAIN_HTTP).stdout)
    assert shown["appVersion"] == OLD
    _helm(any_helm, namespace, "install", "release", chart, "--version=1.0.0", *options)
    with relay(namespace) as address:
        Client(address, KEY).write()
        with Load("an upgrade from a registry", address, KEY) as load:
            # Without a version, Helm takes the newest.
            _helm(any_helm, namespace, "upgrade", "release", chart, *options)
        assert load.succeeded()
    assert postgres_revision(namespace) == NEW_HEAD
    assert [entry["chart"] for entry in any_helm.history()] == ["spicedb-1.0.0", "spicedb-2.0.0"]


def test_signature_covers_the_whole_package(
    any_helm: Helm, charts: Registry, keys: Keys, namespace: Namespace, tmp_path: Path
) -> None:
    signing = ("--sign", "--key=Test", f"--keyring={keys.secret}")
    packaged = package(on_postgres(), "1.0.0", tmp_path, *signing, program=any_helm.program)
    provenance = packaged.with_name(f"{packaged.name}.prov").read_text()
    signed = provenance.partition("\n\n")[2].partition("\n-----BEGIN PGP SIGNATURE-----")[0]
    metadata, files = yaml.safe_load_all(signed.replace("\n...\n", "\n---\n"))
    assert (metadata["name"], metadata["version"], metadata["appVersion"]) == ("spicedb", "1.0.0", NEW)
    digest = hashlib.sha256(packaged.read_bytes()).hexdigest()
    assert files == {"files": {packaged.name: f"sha256:{digest}"}}

    verify = f"--keyring={keys.public}"
    assert SIGNER in _verified(any_helm, namespace, "verify", str(packaged), verify)
    charts.push(packaged, any_helm.program)
    pulled = tmp_path / "pulled"
    pulled.mkdir()
    pull = ("pull", f"{charts.address}/spicedb", "--version=1.0.0", PLAIN_HTTP, f"--destination={pulled}")
    assert SIGNER in _verified(any_helm, namespace, *pull, "--verify", verify)
    assert (pulled / packaged.name).read_bytes() == packaged.read_bytes()

    with packaged.open("ab") as file:
        file.write(b"\0")
    changed = _helm(any_helm, namespace, "verify", str(packaged), verify, check=False)
    assert changed.returncode
    assert "sha256 sum does not match" in changed.stderr


def _verified(helm: Helm, namespace: Namespace, *arguments: str) -> str:
    result = _helm(helm, namespace, *arguments)
    return result.stdout + result.stderr
