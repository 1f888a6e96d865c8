"""Which cluster: one context of the kubeconfig, chosen once as kubectl does."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from attrs import field, frozen

from .apierror import ClusterError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DEFAULT = "~/.kube/config"
_MOST_BYTES = 16 << 20
_NAME = "name another one with --kubeconfig, or with KUBECONFIG"
_FILES = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}
"""Settings that name files, relative to the file that has them."""
# Several times faster, but not in every build of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@frozen(kw_only=True)
class Kubeconfig:
    """One context of the kubeconfig, with everything that it refers to."""

    context: str | None
    """Name of the context. None: the account of the pod, which has none."""
    namespace: str
    """Its namespace."""
    file: str | None = None
    """The file that you chose, such as with ``--kubeconfig``. None: you chose none."""
    cluster: Mapping[str, Any] = field(repr=False)
    """Address and certificates of the API server, as a kubeconfig has them. Paths are absolute."""
    user: Mapping[str, Any] = field(repr=False)
    """Credentials, as a kubeconfig has them. Paths are absolute."""
    _written: dict[str, Path] = field(factory=dict, repr=False, eq=False, init=False)

    @property
    def server(self) -> str:
        """Address of the API server."""
        return str(self.cluster.get("server") or "")

    def write(self) -> Path:
        """A private file with this context alone, for the programs that this process runs. It is removed when the
        process ends. What somebody changes in the kubeconfig meanwhile is not in it."""
        if "file" not in self._written:
            try:
                folder = tempfile.mkdtemp(prefix="cdk8s-spicedb-")  # Only its owner may read it.
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
                file = Path(folder, "kubeconfig")
                file.touch(mode=0o600)
                file.write_text(json.dumps(self._content(), default=str), encoding="utf-8")
            except OSError as error:
                raise ClusterError(f"cannot write a private copy of the kubeconfig: {error}; set TMPDIR") from None
            self._written["file"] = file
        return self._written["file"]

    @property
    def name(self) -> str:
        """The name of its context in the private file."""
        return self.context or "in-cluster"

    def _content(self) -> dict[str, Any]:
        name = self.name
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": self.namespace}}],
            "clusters": [{"name": name, "cluster": self.cluster}],
            "users": [{"name": name, "user": self.user}],
        }


def read_kubeconfig(context: str | None = None, file: str | None = None) -> Kubeconfig:
    """A context of the kubeconfig, which defaults to the current one.

    Reads ``file``, or else the files in ``KUBECONFIG``, or else ``~/.kube/config``. In ``KUBECONFIG``, the first file
    that has a setting takes precedence.
    Without any, it is the account of the pod. Raises `ClusterError` if there is no such context, or if a file cannot be
    read.
    """
    paths = [Path(each).expanduser() for each in ([file] if file else _paths()) if each]
    files = [found for path in paths if (found := _read(path)) is not None]
    if file and not files:
        raise ClusterError(f"cannot read the kubeconfig {file}: it does not exist or is empty")
    if not files and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _of_pod()
    merged: dict[str, dict[str, Any]] = {"context": {}, "cluster": {}, "user": {}}
    for each in reversed(files):
        for kind, known in merged.items():
            known.update(each.named(kind))
    name = context or next((str(found) for each in files if (found := each.content.get("current-context"))), None)
    if name is None and not files:
        raise ClusterError(f"there is no kubeconfig (looked for {_listed(paths)}); name one with --kubeconfig")
    if name is None:
        raise ClusterError("the kubeconfig has no current context; set one with --context")
    return _chosen(name, merged, _listed(paths), file)


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _paths() -> list[str]:
    return (os.environ.get("KUBECONFIG") or _DEFAULT).split(os.pathsep)


def _chosen(name: str, merged: Mapping[str, Mapping[str, Any]], place: str, file: str | None) -> Kubeconfig:
    chosen = merged["context"].get(name)
    if chosen is None:
        known = sorted(merged["context"])
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known) or 'none'}"
        raise ClusterError(f"the kubeconfig has no context {name}; {hint} (read from {place})")
    parts: dict[str, Any] = {}
    for kind in ("cluster", "user"):
        reference = chosen.get(kind)
        parts[kind] = merged[kind].get(str(reference), None if reference else {})
        if parts[kind] is None:
            raise ClusterError(f"the kubeconfig has no {kind} {reference}, which its context {name} names")
    if not str(parts["cluster"].get("server") or "").startswith(("https://", "http://")):
        raise ClusterError(f"the kubeconfig has no server for its context {name}; set one, or another --context")
    return Kubeconfig(context=name, namespace=str(chosen.get("namespace") or "default"), file=file, **parts)


@frozen
class _File:
    path: Path
    content: Mapping[str, Any]

    def named(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The entries of a kind by name, the first one last. Their paths are absolute."""
        entries = self.content.get(f"{kind}s") or []
        if not isinstance(entries, list):
            raise ClusterError(f"cannot read the kubeconfig {self.path}: {kind}s is not a list")
        for entry in reversed(entries):
            found = entry.get(kind) if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or "name" not in entry or not isinstance(found, (dict, type(None))):
                raise ClusterError(f"cannot read the kubeconfig {self.path}: {kind}s has an entry that is no {kind}")
            yield str(entry["name"]), self._absolute(kind, found or {})

    def _absolute(self, kind: str, entry: dict[str, Any]) -> dict[str, Any]:
        folder = self.path.absolute().parent
        named = [name for name in _FILES.get(kind, ()) if isinstance(entry.get(name), str) and entry[name]]
        found = {**entry, **{name: str(folder / entry[name]) for name in named}}
        program = entry.get("exec")
        # A command without a slash is one on PATH.
        if isinstance(program, dict) and os.sep in str(program.get("command", "")):
            found["exec"] = {**program, "command": str(folder / str(program["command"]))}
        return found


def _read(path: Path) -> _File | None:
    """A file. None if there is none, as kubectl has it."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ClusterError(f"cannot read the kubeconfig {path}: it is larger than {_MOST_BYTES >> 20} MiB")
        content = yaml.load(path.read_text("utf-8"), _LOADER)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClusterError(f"cannot read the kubeconfig {path}: {error.strerror}; {_NAME}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        # The text may have credentials, so it is not shown.
        raise ClusterError(f"cannot read the kubeconfig {path}: it is not YAML; {_NAME}") from None
    if not isinstance(content, dict):
        if content is None:
            return None
        raise ClusterError(f"cannot read the kubeconfig {path}: it is not a mapping; {_NAME}")
    return _File(path, content)


def _of_pod() -> Kubeconfig:
    """The account of the pod in which this process runs."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        namespace = (_ACCOUNT / "namespace").read_text("utf-8").strip()
        (_ACCOUNT / "token").read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ClusterError(f"cannot read the ServiceAccount of this pod: {error}; use --kubeconfig") from None
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    return Kubeconfig(
        context=None,
        namespace=namespace or "default",
        cluster={"server": server, "certificate-authority": str(_ACCOUNT / "ca.crt")},
        user={"tokenFile": str(_ACCOUNT / "token")},
    )
