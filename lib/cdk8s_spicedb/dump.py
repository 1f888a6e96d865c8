"""Values as YAML, as Kubernetes and Helm read it."""

from __future__ import annotations

import sys
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Indents lists, as cdk8s does, and writes what comes twice twice."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Texts of several lines as lines, to be read in a review."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dump(*documents: Any) -> str:
    """Documents as YAML text, keys in the order given."""
    options: dict[str, Any] = {"default_flow_style": False, "sort_keys": False, "width": sys.maxsize}
    text: str = yaml.dump_all(documents, Dumper=_Dumper, allow_unicode=True, **options)
    return text
