"""Programs of this repository, run as their users run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def written(program: Path, folder: Path, **environment: str) -> dict[str, bytes]:
    """What a cdk8s app writes, by file name."""
    env = {**os.environ, "CDK8S_OUTDIR": str(folder), **environment}
    subprocess.run([sys.executable, program], cwd=folder.parent, env=env, check=True)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, by name."""
    files = (file for file in folder.rglob("*") if not file.is_dir())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
