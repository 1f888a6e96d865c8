"""Which object Helm applies when, and when it removes it."""

from __future__ import annotations

import pytest

from cdk8s_spicedb import Delivery
from cdk8s_spicedb.hooks import CLEANUP, MIGRATION, MIGRATION_IDENTITY, Hook, hook_annotations


@pytest.mark.parametrize(
    ("hook", "annotations"),
    [
        (
            MIGRATION,
            {
                "helm.sh/hook": "pre-install,pre-upgrade",
                "helm.sh/hook-weight": "0",
                "helm.sh/hook-delete-policy": "before-hook-creation",
                "helm.sh/hook-output-log-policy": "hook-failed,hook-succeeded",
            },
        ),
        (
            MIGRATION_IDENTITY,
            {
                "helm.sh/hook": "pre-install,pre-upgrade",
                "helm.sh/hook-weight": "-5",
                "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
            },
        ),
        (
            CLEANUP,
            {
                "helm.sh/hook": "post-install,post-upgrade",
                "helm.sh/hook-weight": "0",
                "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
                "helm.sh/hook-output-log-policy": "hook-failed",
            },
        ),
    ],
    ids=["migration", "identity", "clean-up"],
)
def test_hook_annotations(hook: Hook, annotations: dict[str, str]) -> None:
    assert hook_annotations(Delivery.HELM, hook) == annotations


def test_the_identity_exists_before_the_migration() -> None:
    assert MIGRATION_IDENTITY.moments == MIGRATION.moments
    assert MIGRATION_IDENTITY.weight < MIGRATION.weight


def test_the_migration_stays_for_the_clean_up_to_remove() -> None:
    assert "hook-succeeded" not in MIGRATION.delete
    assert not set(MIGRATION.moments) & set(CLEANUP.moments)


@pytest.mark.parametrize("hook", [MIGRATION, MIGRATION_IDENTITY, CLEANUP])
def test_what_an_earlier_release_left_never_blocks_the_next(hook: Hook) -> None:
    assert "before-hook-creation" in hook.delete


def test_every_way_of_delivery_has_annotations() -> None:
    for delivery in Delivery:
        assert hook_annotations(delivery, MIGRATION)
