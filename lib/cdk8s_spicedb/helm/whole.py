"""The manifests from which a chart is made: with every object and field that a value may ask for."""

from __future__ import annotations

from typing import TypeVar

import attrs

from ..errors import InvalidProps
from ..labels import COMPONENT, Component
from ..manifests import Manifest, objects_of
from ..manifests.objects import Objects
from ..manifests.patches import require_matches
from ..props import MigrationProps, ServerProps, SpiceDBProps
from ..props.patch import Patch
from .accounts import ACCOUNT, CLEANUP_ACCOUNT, IDENTITY
from .patches import require_no_values
from .places import SETTING
from .value import FULLNAME, Value

Part = TypeVar("Part", ServerProps, MigrationProps)


def whole_manifests(props: SpiceDBProps, values: list[Value]) -> dict[Component, list[Manifest]]:
    """The manifests of each component, with every place of a value."""
    needed = [place.prop.split(".") for value in values for place in value.places if place.prop]

    def with_settings(part: Part, component: Component) -> Part:
        return attrs.evolve(part, **{name: SETTING for owner, name in needed if owner == component.value})

    whole = attrs.evolve(
        props,
        name=FULLNAME,
        hook_logs=True,
        openshift=False,
        image_pull_secrets=(),
        rbac_create=True,
        server=with_settings(_server(props), Component.SERVER),
        migration=with_settings(
            attrs.evolve(props.migration, enabled=True, hook=True, service_account=None), Component.MIGRATION
        ),
        cleanup=attrs.evolve(props.cleanup, enabled=None, service_account=CLEANUP_ACCOUNT),
        pods=attrs.evolve(props.pods, service_account=None),
        backup=props.backup and attrs.evolve(props.backup, claim=None),
        schema=props.schema and attrs.evolve(props.schema, text=props.schema.text or "-", config_map=None),
        service_account_annotations={IDENTITY: ""},
        patches=[_patch(patch, props.name) for patch in props.patches],
    )
    accounts = [Objects(whole, Component.SERVER).service_account(whole.service_account_annotations)]
    accounts += [Objects(whole, Component.CLEANUP).service_account()] if whole.cleans_up else []
    try:
        manifests, found = [*accounts, *objects_of(whole)], dict[Component, list[Manifest]]()
    except InvalidProps as error:
        # A patch that does not fit.
        named = [attrs.evolve(each, allowed=each.allowed.replace(FULLNAME, props.name)) for each in error.problems]
        raise InvalidProps(error.subject, named) from None
    names = [(each["kind"], each["metadata"]["name"].replace(FULLNAME, props.name)) for each in manifests]
    require_matches(props, [{"kind": kind, "metadata": {"name": name}} for kind, name in names])
    for manifest in manifests:
        found.setdefault(Component(manifest["metadata"]["labels"][COMPONENT]), []).append(manifest)
    require_no_values(whole, values, found)
    return found


def _server(props: SpiceDBProps) -> ServerProps:
    budget = props.server.disruption_budget or 1
    server = attrs.evolve(props.server, service_account=ACCOUNT, disruption_budget=budget, headless_service=True)
    if props.datastore.max_replicas == 1:
        return server
    if server.autoscaling is None:
        return attrs.evolve(server, replicas=2)
    autoscaling = attrs.evolve(server.autoscaling, min_replicas=2, max_replicas=3, external=False)
    return attrs.evolve(server, autoscaling=autoscaling)


def _patch(patch: Patch, name: str) -> Patch:
    """A patch for the object whose name begins with the one that stands for an expression."""
    if patch.name is None or not (patch.name == name or patch.name.startswith(f"{name}-")):
        return patch
    return attrs.evolve(patch, name=f"{FULLNAME}{patch.name.removeprefix(name)}")
