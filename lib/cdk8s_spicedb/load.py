"""YAML texts, with the line of everything in them."""

from __future__ import annotations

from typing import Any, cast

import yaml

from .errors import SpiceDBError


def load(text: str, name: str) -> tuple[Any, dict[str, int]]:
    """What a YAML text holds, and by dotted path the line where it is; ``name`` is what an error calls the text.

    As `yaml.safe_load`, but a key that comes twice is an error. Raises `SpiceDBError` when it is no YAML.
    """
    lines: dict[str, int] = {}
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        return {} if root is None else _value(root, (), lines), lines
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise SpiceDBError(f"{name}:{line} {error.problem or error.context}; write it as YAML") from None
    except yaml.YAMLError:
        raise SpiceDBError(f"{name}: it holds characters that YAML does not allow") from None
    except RecursionError:
        raise SpiceDBError(f"{name}: it is nested too deeply, or an alias in it holds itself") from None


def _value(node: yaml.Node, path: tuple[str, ...], lines: dict[str, int]) -> Any:
    lines.setdefault(".".join(path), node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, str(number)), lines) for number, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = _scalar(key_node)
        if key in found:
            raise _wrong(key_node, f"{key!r} comes twice")
        inner = (*path, str(key))
        lines[".".join(inner)] = key_node.start_mark.line + 1
        found[key] = _value(value_node, inner, lines)
    return found


def _scalar(node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:merge":
        raise _wrong(node, "a key is a text")
    loader = yaml.SafeLoader("")
    try:
        return cast(Any, loader).construct_object(node)
    except (AttributeError, ValueError):
        # The value may be a secret.
        raise _wrong(node, f"what is there is no {node.tag.rpartition(':')[2]}") from None
    finally:
        cast(Any, loader).dispose()


def _wrong(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
