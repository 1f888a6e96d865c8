"""Runs programs of this repository as users do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def written(program: Path, folder: Path, **environment: str) -> dict[str, bytes]:
    """Runs a cdk8s app. Returns the files that it writes, by name."""
    env = {**os.environ, "CDK8S_OUTDIR": str(folder), **environment}
    subprocess.run([sys.executable, program], cwd=folder.parent, env=env, check=True)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, by name."""
    files = (file for file in folder.rglob("*") if not file.is_dir())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """The time and the inode of each file of a folder, by name. A file that nothing writes again keeps both."""
    found = {path: (folder / path).stat() for path in contents(folder)}
    return {path: (each.st_mtime_ns, each.st_ino) for path, each in found.items()}


def cdk8s_cli() -> tuple[Path, dict[str, str]]:
    """The cdk8s CLI, and the environment to run it in."""
    cli = ROOT / "node_modules" / ".bin" / "cdk8s"
    assert cli.exists(), "the cdk8s CLI is missing: run make setup"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return cli, {**os.environ, "PATH": path, "CHECK_UPGRADE": "false"}
