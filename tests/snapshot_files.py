"""Snapshots of what the examples write, in tests/snapshots/. ``python -m tests.snapshot_files`` writes them again.

A file that differs little from dist/, or from another file of its example, is stored as the difference: that is what a
reviewer has to see. Another test compares dist/ with what main.py writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.programs import ROOT, contents, written

EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/main.py"))
_DEFAULT = "dist/spicedb.k8s.yaml"
_FIRST = {"tenants": "billing/billing.k8s.yaml"}
"""By example, the file that its other files differ from in little more than a name."""
_WHOLE = {"production"}
"""Examples whose files other programs read."""


def snapshot(example: Path) -> Mapping[str, bytes]:
    """Runs an example. Returns the files of its snapshot, by name."""
    with TemporaryDirectory() as folder:
        files = written(example / "main.py", Path(folder) / "dist")
    if example.name in _WHOLE:
        return files
    first = _FIRST.get(example.name)
    if first is None:
        default = (ROOT / _DEFAULT).read_text()
        return dict(_stored(name, text, _DEFAULT, default) for name, text in files.items())
    others = {name: text for name, text in files.items() if name != first}
    return {first: files[first], **dict(_stored_as_tenant(name, text, first, files) for name, text in others.items())}


def stored(example: Path) -> Mapping[str, bytes]:
    """The files of the snapshot as they are in this repository."""
    return contents(_folder(example))


def _folder(example: Path) -> Path:
    return ROOT / "tests" / "snapshots" / example.name


def _stored(name: str, text: bytes, base: str, default: str) -> tuple[str, bytes]:
    """The difference of a file from its base, or the file itself if the difference is not much shorter."""
    before, after = default.splitlines(keepends=True), text.decode().splitlines(keepends=True)
    difference = list(unified_diff(before, after, base, name, n=2)) or [f"no difference from {base}\n"]
    if len(difference) > len(after) / 2:
        return name, text
    return f"{name}.diff", "".join(difference).encode()


def _stored_as_tenant(name: str, text: bytes, first: str, files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The difference of a file from the first one of its example, in which another name replaces that of the first."""
    old, new = (Path(each).name.partition(".")[0] for each in (first, name))
    return _stored(name, text, f"{first} with {new} for {old}", files[first].decode().replace(old, new))


def main() -> None:
    """Writes all snapshots."""
    for example in EXAMPLES:
        files = snapshot(example)
        shutil.rmtree(_folder(example), ignore_errors=True)
        for name, text in files.items():
            path = _folder(example) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)


if __name__ == "__main__":
    main()
