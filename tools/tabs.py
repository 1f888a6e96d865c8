"""Shows each ``spicedb.yaml`` of the documentation in tabs: the file, the same in Python, and as values of a chart.

mkdocs calls it for each page (``hooks`` in mkdocs.yml). The Markdown in the repository has the file alone. The comment
``<!-- no tabs -->`` before a block keeps it alone on the site too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from textwrap import dedent, indent
from typing import Any, Protocol

import yaml

from cdk8s_spicedb.files.yaml import dump
from tools.parts import has_props, part_of, props_in
from tools.source import python_of
from tools.values import ChartSettings, chart_settings

ALONE = {"docs/install/files.md", "docs/install/kustomize.md", "docs/install/python.md"}
"""Pages about one form."""
_BLOCK = re.compile(
    r"(?P<off><!-- no tabs -->\s*)?^(?P<indent> *)```yaml\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


class _File(Protocol):
    src_uri: str


class _Page(Protocol):
    file: _File


def on_page_markdown(markdown: str, page: _Page, **_: Any) -> str:
    """The Markdown of a page as the site has it. mkdocs calls it."""
    return markdown if page.file.src_uri in ALONE else with_tabs(markdown)


def with_tabs(markdown: str) -> str:
    """Markdown with tabs in place of each block that is a ``spicedb.yaml`` or a part of one."""
    return _BLOCK.sub(_tabs_of, markdown)


def settings_blocks(markdown: str) -> Iterator[str]:
    """The blocks that get tabs."""
    return filter(None, map(_settings_in, _BLOCK.finditer(markdown)))


def _settings_in(found: re.Match[str]) -> str:
    """The text of a block that gets tabs. Empty if it gets none."""
    text = dedent(found["text"])
    documents = [] if found["off"] else list(yaml.safe_load_all(text))
    return text if len(documents) == 1 and has_props(documents[0]) else ""


def _tabs_of(found: re.Match[str]) -> str:
    text = _settings_in(found)
    return indent(tabs(text), found["indent"]) if text else found[0]


@lru_cache
def tabs(text: str) -> str:
    """The tabs of a part of a file, Markdown."""
    part = part_of(text)
    props = props_in(part)
    found = {
        "spicedb.yaml": _code("yaml", text),
        "Python": _code("python", python_of(part.data, props)),
        "Chart values": _chart(chart_settings(part.data, props)),
    }
    return "\n".join(f'=== "{name}"\n\n{indent(content, "    ")}' for name, content in found.items()).rstrip()


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text}```\n"


def _chart(settings: ChartSettings) -> str:
    """The tab of a chart: its values, and what it has no value for."""
    fixed, unused = ", ".join(settings.fixed), ", ".join(settings.unused)
    parts = [_code("yaml", dump(settings.nested()))] if settings.values else []
    if fixed and settings.values:
        parts.append(f"Fixed when the chart is written: {fixed}.\n")
    elif fixed:
        parts.append(f"There is no value for this: write the chart with {fixed}.\n")
    if unused:
        parts.append(f"This changes nothing in the chart: {unused}.\n")
    return "\n".join(parts)
