"""Lists breaking changes of public names since a release, and fails if there are any: ``python tools/api.py TAG``"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import griffe

PACKAGE = "cdk8s_spicedb"


def missing(tag: str) -> Iterator[str]:
    """Breaking changes of the names that the package exports. Its modules are not public."""
    old, new = griffe.load_git(PACKAGE, ref=tag, search_paths=["lib"]), griffe.load(PACKAGE, search_paths=["lib"])
    exported = {f"{PACKAGE}.{name}" for name in map(str, old.exports or ())}
    own = {path for name in exported for path in (name, old[name.removeprefix(f"{PACKAGE}.")].canonical_path)}
    for change in griffe.find_breaking_changes(old, new):
        path = change.obj.path
        if any(path == name or path.startswith(f"{name}.") for name in own):
            yield change.explain(griffe.ExplanationStyle.ONE_LINE)


if __name__ == "__main__":
    found = list(missing(*sys.argv[1:]))
    print(*found, sep="\n")
    sys.exit(bool(found))
