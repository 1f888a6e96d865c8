"""Tests the wheel and the sdist in build/dist/ as their users see them: ``make try``

Checks that a second build is the same. Installs the wheel into a separate environment for every Python on the machine,
uses it as users do, and type-checks apps against it. Compares the public names with an earlier release.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "build" / "dist"
SBOM = ROOT / "build" / "sbom" / "cdk8s-spicedb.cdx.json"
TOOLS = ROOT / ".package" / "bin"
PYRIGHT = ROOT / "node_modules" / ".bin" / "pyright"
OLDEST = 10
# The examples that need only the package.
APPS = sorted(path for path in ROOT.glob("examples/*/main.py") if path.parent.name != "externalsecret")
_WRONG = """\
from cdk8s_spicedb import Memory, SpiceDBProps

SpiceDBProps(datastore=Memory(), server="two")
"""
_USE = """\
from importlib.metadata import version
from cdk8s import App
from cdk8s_spicedb import PostgreSQL, SecretKey, SpiceDBChart, SpiceDBProps

app = App()
SpiceDBChart(app, "spicedb", SpiceDBProps(datastore=PostgreSQL(uri=SecretKey("spicedb", "uri"))))
app.synth()
print(version("cdk8s-spicedb"))
"""


def run(*command: object, folder: Path = ROOT, fails: bool = False) -> str:
    """Runs a program and returns its output. Exits if the program does not end as expected."""
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True)
    if (done.returncode != 0) is not fails:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def checked() -> Path:
    """Checks the wheel and the sdist, and returns the wheel.

    A build in this environment must have the same bytes, and a wheel built from the sdist the same contents.
    """
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "hatchling", "build", "--directory", folder)
        if _hashes(Path(folder)) != _hashes(DIST):
            sys.exit(f"a second build has other bytes: {_hashes(Path(folder))} instead of {_hashes(DIST)}")
    run(TOOLS / "twine", "check", "--strict", *DIST.iterdir())
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, sdist)
        if _contents(Path(folder) / wheel.name) != _contents(wheel):
            sys.exit(f"{sdist.name} makes another wheel than the checkout")
    return wheel


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def _contents(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as opened:
        return {entry.filename: entry.CRC for entry in opened.infolist()}


def pythons() -> dict[int, str]:
    """All supported Pythons on this machine, by minor version."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = [sys.executable, *(f"python3.{minor}" for minor in range(OLDEST, 20)), *versions.glob("3.*/bin/python")]
    found: dict[int, str] = {}
    for name in map(str, names):
        ask = [name, "-c", "import sys; print(sys.version_info.minor)"]
        if shutil.which(name) and (said := subprocess.run(ask, capture_output=True, text=True)).returncode == 0:
            found.setdefault(int(said.stdout), name)
    return {minor: found[minor] for minor in sorted(found) if minor >= OLDEST}


def use(wheel: Path, python: str, folder: Path) -> Path:
    """Installs only the wheel into an environment, uses it as users do, and returns the environment's Python."""
    run(python, "-m", "venv", folder / "env")
    own = folder / "env" / "bin"
    run(own / "python", "-m", "pip", "install", "--quiet", wheel)
    if run(own / "python", "-W", "error", "-c", _USE, folder=folder).strip() not in wheel.name:
        sys.exit(f"{python}: it is another version that is used")
    for command in (["init"], ["synth", "--folder", "chart"], ["json-schema"]):
        run(own / "cdk8s-spicedb", *command, folder=folder)
    run(own / "cdk8s-spicedb", "plan", "--engine", "postgres", "--from", "v1.52.0", "--to", "v1.57.1", folder=folder)
    return own / "python"


def list_components(wheel: Path, python: Path) -> int:
    """Writes the SBOM: what an installation of the package and its extra contains. Returns the number of components."""
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[live]")
    SBOM.parent.mkdir(parents=True, exist_ok=True)
    command = [TOOLS / "cyclonedx-py", "environment", "--pyproject", ROOT / "pyproject.toml", "--output-reproducible"]
    run(*command, "--spec-version", "1.6", "--output-file", SBOM, python)
    return len(json.loads(SBOM.read_text())["components"])


def check_types(python: Path, folder: Path) -> None:
    """Runs mypy and pyright on apps, in the apps' environment. Both must reject an app that is wrong."""
    wrong = folder / "wrong.py"
    wrong.write_text(_WRONG)
    settings = folder / "pyrightconfig.json"
    settings.write_text('{"typeCheckingMode": "strict"}')
    mypy = [TOOLS / "mypy", "--strict", "--python-executable", python, "--cache-dir", folder / "cache"]
    for apps, fails in ((APPS, False), ([wrong], True)):
        for app in apps:  # one at a time: mypy sees each as the module main
            run(*mypy, app, folder=folder, fails=fails)
        run(PYRIGHT, "--project", settings, "--pythonpath", python, *apps, folder=folder, fails=fails)


def compare() -> Iterator[str]:
    """Compares the public names with those of the last release, if there is one."""
    tags = run("git", "tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD").split()
    if not tags:
        yield "no release yet that it could be compared with"
        return
    run(TOOLS / "python", "tools/api.py", tags[0])
    yield f"nothing that users of {tags[0]} rely on is gone"


def main() -> None:
    wheel = checked()
    print(f"{wheel.name} and its sdist are sound, and built twice they are the same")
    there = pythons()
    for minor, python in there.items():
        with tempfile.TemporaryDirectory() as folder:
            installed = use(wheel, python, Path(folder))
            print(f"Python 3.{minor}: installed and used", flush=True)
            if minor == max(there):
                print(f"the SBOM lists {list_components(wheel, installed)} components", flush=True)
            if minor == min(there):
                check_types(installed, Path(folder))
                print(f"{len(APPS)} apps are typed for mypy and pyright, and a wrong one is refused", flush=True)
    print(*compare(), sep="\n")


if __name__ == "__main__":
    main()
