"""Strict schemas of the rendered custom resources, with only the fields that this package uses.

This repository does not contain the CustomResourceDefinitions. tests/cluster uses a cluster that has them.
"""

from __future__ import annotations

from typing import Any

import jsonschema

from tests.synth import Object

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string", "minLength": 1}
_NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
_DURATION: Schema = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


_SPECS = {
    "gateway.networking.k8s.io/v1 GRPCRoute": _object(
        {
            "parentRefs": _list(_object({"name": _TEXT}, {"namespace": _TEXT, "sectionName": _TEXT})),
            "rules": _list(_object({"backendRefs": _list(_object({"name": _TEXT, "port": _NUMBER}))})),
        },
        {"hostnames": _list(_TEXT)},
    ),
    "monitoring.coreos.com/v1 PodMonitor": _object(
        {
            "selector": _object({"matchLabels": _TEXTS}),
            "podTargetLabels": _list(_TEXT),
            "podMetricsEndpoints": _list(
                _object(
                    {"port": _TEXT, "interval": _DURATION},
                    {"scheme": {"const": "https"}, "tlsConfig": _object({"insecureSkipVerify": {"const": True}})},
                )
            ),
        }
    ),
    "monitoring.coreos.com/v1 PrometheusRule": _object(
        {
            "groups": _list(
                _object(
                    {
                        "name": _TEXT,
                        "rules": _list(
                            _object(
                                {
                                    "alert": _TEXT,
                                    "expr": _TEXT,
                                    "for": _DURATION,
                                    "labels": _TEXTS,
                                    "annotations": _TEXTS,
                                }
                            )
                        ),
                    }
                )
            )
        }
    ),
}


def is_custom(manifest: Object) -> bool:
    """Whether an object is a custom resource."""
    return _kind(manifest) in _SPECS


def validate_custom(manifest: Object) -> None:
    """Raises `jsonschema.ValidationError` if a custom resource is invalid."""
    spec = _SPECS[_kind(manifest)]
    schema = _object({"apiVersion": _TEXT, "kind": _TEXT, "metadata": {"type": "object"}, "spec": spec})
    jsonschema.validate(manifest, schema)


def _kind(manifest: Object) -> str:
    return f"{manifest['apiVersion']} {manifest['kind']}"
