"""Warnings: settings that render as you ask, and that you should know about."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from ...errors import AdvisoryWarning, SpiceDBWarning
from ...versions import by_weight, known_releases
from ..advisories import advisories_of
from ..spicedb import SpiceDBProps, image_parts
from .arguments import flag_warnings


def all_warnings(props: SpiceDBProps) -> Iterator[str]:
    """Every warning about valid props."""
    yield from filter(None, (version_warning(props), image_warning(props), target_warning(props)))
    if props.migration.target_phase:
        yield phase_warning(props.migration.target_phase.value)
    yield from flag_warnings(props)
    yield from advisory_warnings(props, "acceptAdvisories: [{}]")


def advisory_warnings(props: SpiceDBProps, accept: str = "accept_advisories=[{!r}]") -> Iterator[str]:
    """The warnings about advisories. ``accept`` is how to accept one.

    One for each that stands out, and one for all others.
    """
    outstanding, others = by_weight(advisories_of(props))
    for found in outstanding:
        fix, own = f"{found.fix[0].upper()}{found.fix[1:]}", accept.format(found.advisory.id)
        yield f"{props.version} has a known fault. {found.text}. {fix}; or accept it: {own}."
    if others:
        yield (
            f"{props.version} has known faults that depend on your schema or your requests: {', '.join(others)}. "
            "`cdk8s-spicedb releases` says what they are."
        )


def version_warning(props: SpiceDBProps) -> str | None:
    """The warning about a version that the release table does not have."""
    if not props.datastore.migrates or props.releases.knows(props.datastore.engine, props.version):
        return None
    return (
        f"{props.version} is not among the releases that this package knows for {props.datastore.engine} (newest: "
        f"{props.releases.newest}). Its migration revisions are not checked, and its servers do not allow the schemas "
        "of later releases, which a rollback needs. Add it with --releases, or with SpiceDBProps.releases and "
        "with_release(…)."
    )


def image_warning(props: SpiceDBProps) -> str | None:
    """The warning about an image whose tag does not begin with the version. Nobody knows the release of a digest."""
    _, tag, digest = image_parts(props.full_image)
    if digest or tag is None or tag == props.version or tag.startswith(f"{props.version}-"):
        return None
    return (
        f"the tag of the image, {tag}, is not {props.version}: flags, migrations and allowed revisions are those of "
        f"{props.version}. Use an image without a tag, or with a tag that begins with {props.version}."
    )


def target_warning(props: SpiceDBProps) -> str | None:
    """The warning about a target on which the servers of the release do not start."""
    target, engine = props.migration.target, props.datastore.engine
    own = props.releases.starts_on(engine, props.version, props.server.datastore_migration_phase)
    # The allowed migrations of the table are among its own; the props may set others.
    starts_on = own if props.server.allowed_migrations is None else {*own, *props.server.allowed_migrations}
    if not props.migrates or target == "head" or not own or target in starts_on:
        return None
    return (
        f"servers of {props.version} do not start on {target}, at which the migration stops: they start on "
        f"{', '.join(sorted(starts_on))}. Add {target} to ServerProps.allowed_migrations if they can work with it."
    )


def phase_warning(phase: str) -> str:
    """The warning about a phase for ``migrate``, a flag that no released SpiceDB has."""
    return (
        f"no released SpiceDB up to {known_releases().newest} has `migrate --phase`: the migration will fail, and its "
        f"log shows SpiceDB's usage. Instead of --phase={phase} set ServerProps.schema_mode (SpiceDB 1.53 and later) "
        "or ServerProps.datastore_migration_phase (PostgreSQL at 1.14, Spanner at 1.22) and roll out the servers."
    )


def warn(props: SpiceDBProps, *messages: str | None) -> None:
    """Issues Python warnings of this package's category."""
    for message in filter(None, messages):
        warnings.warn(f"{props.name}: {message}", SpiceDBWarning, stacklevel=4)


def warn_of_advisories(props: SpiceDBProps) -> None:
    """Issues the warnings about advisories, which have a category of their own."""
    for message in advisory_warnings(props):
        warnings.warn(f"{props.name}: {message}", AdvisoryWarning, stacklevel=4)
