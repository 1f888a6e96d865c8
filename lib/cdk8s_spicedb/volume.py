"""Files that containers read from Secrets."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from .secret import SecretKey


@frozen
class SecretFiles:
    """A read-only folder of files, each from a key of any Secret."""

    name: str
    """The volume's name."""
    folder: str
    """Where containers see it."""
    files: dict[str, SecretKey]
    """By file name, the Secret key with its content."""

    def path(self, file: str) -> str:
        """Where containers see one of the files."""
        return f"{self.folder}/{file}"

    def volume(self) -> dict[str, Any]:
        """As one of a pod's ``volumes``; the group may read it because the server does not run as root."""
        sources = [
            {"secret": {"name": str(key.name), "items": [{"key": key.key, "path": file}]}}
            for file, key in self.files.items()
        ]
        return {"name": self.name, "projected": {"defaultMode": 0o440, "sources": sources}}

    def mount(self) -> dict[str, Any]:
        """As one of a container's ``volumeMounts``."""
        return {"name": self.name, "mountPath": self.folder, "readOnly": True}
