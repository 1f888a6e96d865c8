"""Props as a step of an upgrade wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ..checks import problems, show
from ..errors import InvalidProps, Problem
from .image import image_at

if TYPE_CHECKING:
    from ..upgrade import UpgradeStep
    from .spicedb import SpiceDBProps


def props_at(props: SpiceDBProps, step: UpgradeStep) -> SpiceDBProps:
    """See `SpiceDBProps.at`."""
    found = list(problems(props))
    image = image_at(props.image, props.version, step.version) if isinstance(props.image, str) else None
    if props.image is not None and image is None and all(problem.field != "image" for problem in found):
        allowed = f"an image without a digest, with no tag or one that begins with {props.version}"
        fix = "give the image alone; its tag follows version"
        found.append(Problem("image", show(props.image), allowed, fix))
    if found:
        raise InvalidProps(type(props).__name__, found)
    server, takes = props.server, props.releases.takes
    keeps_mode = takes("experimental-schema-mode", step.version)
    keeps_allowed = takes("datastore-allowed-migrations", step.version)
    own = server.allowed_migrations if keeps_allowed else None
    return attrs.evolve(
        props,
        version=step.version,
        image=image,
        server=attrs.evolve(
            server,
            schema_mode=step.schema_mode or (server.schema_mode if keeps_mode else None),
            datastore_migration_phase=step.datastore_migration_phase,
            allowed_migrations=step.allowed_migrations if own is None else own,
        ),
        migration=attrs.evolve(props.migration, target_migration=step.target_migration),
    )
