"""How to find out why a migration failed, and what to do: for NOTES.txt and README.md of a chart."""

from __future__ import annotations

from ..labels import Component, object_name
from ..props import SpiceDBProps, secret_keys

_GUIDE = "docs/upgrade/migrations.md in the documentation of cdk8s-spicedb"


def troubleshooting(props: SpiceDBProps, release: str, namespace: str, *, chart: str, indent: str) -> str:
    """The text, with the names of the release and the chart, and the option of the namespace, in all commands."""
    job = object_name(props.name, Component.MIGRATION)
    secrets = " ".join(dict.fromkeys(str(key.name) for key in secret_keys(props)))
    return f"""\
If a migration fails, the install or upgrade fails, and the old servers keep serving. To find the reason:

{indent}kubectl describe job {job} {namespace}
{indent}kubectl get events {namespace} --sort-by .lastTimestamp
{indent}kubectl logs job/{job} {namespace}

- connection refused, no such host: check the address in the Secret, and the network.
- password authentication failed: check the Secret. This command lists its keys, but not their values:

{indent}kubectl describe secret {secrets} {namespace}

- DeadlineExceeded: the migration took longer than migrations.activeDeadlineSeconds. Give the migration
  and Helm more time:

{indent}helm upgrade {release} {chart} {namespace} --reset-then-reuse-values --wait \\
{indent}  --set migrations.activeDeadlineSeconds=3600 --timeout 61m

- unable to find migration for revision: the datastore has the schema of a newer SpiceDB release, which an older
  release cannot migrate. Use helm rollback, which does not migrate, or install the older release with
  --set migrations.enabled=false.
- unknown flag --phase: no released SpiceDB has this flag. Remove the value migrations.targetPhase.

Fix the cause, then run the same command again. The migration continues where it stopped. To delete a Job that is stuck:

{indent}kubectl delete job {job} {namespace} --ignore-not-found

To see what an upgrade would apply, without changing anything:

{indent}helm upgrade {release} {chart} {namespace} --dry-run=server

To stop the migration at a revision on which the servers start:

{indent}helm upgrade {release} {chart} {namespace} --reset-then-reuse-values --set migrations.targetMigration=REVISION

For more about migrations, read {_GUIDE}."""
