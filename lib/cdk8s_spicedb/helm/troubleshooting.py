"""How to find out why a migration failed, and what to do: for NOTES.txt and README.md of a chart."""

from __future__ import annotations

from ..labels import Component, object_name
from ..props import SpiceDBProps, secret_keys

_GUIDE = "docs/upgrade/migrations.md of cdk8s-spicedb"


def troubleshooting(props: SpiceDBProps, release: str, namespace: str, *, chart: str, indent: str) -> str:
    """The text, with the names of the release and the chart, and the option of the namespace, in all commands."""
    job = object_name(props.name, Component.MIGRATION)
    secrets = " ".join(dict.fromkeys(str(key.name) for key in secret_keys(props)))
    return f"""\
If a migration fails, the release fails, and the servers from before keep serving. To find the reason:

{indent}kubectl describe job {job} {namespace}
{indent}kubectl get events {namespace} --sort-by .lastTimestamp
{indent}kubectl logs job/{job} {namespace}

- connection refused, no such host: check the address in the Secret, and the network.
- password authentication failed: check the Secret and its keys, without printing values:

{indent}kubectl describe secret {secrets} {namespace}

- DeadlineExceeded: the migration took longer than migrations.activeDeadlineSeconds. Give it and Helm more time:

{indent}helm upgrade {release} {chart} {namespace} --reset-then-reuse-values --wait \\
{indent}  --set migrations.activeDeadlineSeconds=3600 --timeout 61m

- unable to find migration for revision: the schema belongs to a newer release. Roll back instead, or disable the
  migration of the older release with --set migrations.enabled=false.
- unknown flag --phase: no released SpiceDB has it. Remove migrations.targetPhase.

Fix the reason and run the same command again: a migration continues where it stopped. To delete a Job that is stuck:

{indent}kubectl delete job {job} {namespace} --ignore-not-found

To try a release without changing anything, and to stop the migration at a revision that the servers allow:

{indent}helm upgrade {release} {chart} {namespace} --dry-run=server
{indent}helm upgrade {release} {chart} {namespace} --reset-then-reuse-values --set migrations.targetMigration=REVISION

The guide to migrations is {_GUIDE}."""
