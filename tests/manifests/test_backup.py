"""Backups on a schedule: their objects, and the scripts around zed."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdk8s_spicedb import (
    TLS,
    Alerts,
    BackupProps,
    Delivery,
    Memory,
    MigrationProps,
    Monitoring,
    NetworkPolicies,
    SecretKey,
    ServerProps,
    SpiceDBProps,
)
from cdk8s_spicedb.labels import LONGEST_NAME
from cdk8s_spicedb.props import problems
from cdk8s_spicedb.props.schedule import longest_gap
from tests.synth import POSTGRES, Manifests, Object, synth

DAILY = BackupProps(schedule="15 3 * * *")


def render(backup: BackupProps | None = DAILY, **fields: Any) -> Manifests:
    return synth(SpiceDBProps(**{"version": "v1.57.1", "datastore": POSTGRES, "backup": backup, **fields}))


def steps(objects: Manifests) -> dict[str, Object]:
    """The containers of a backup by name, in their order."""
    pod = objects.pod("CronJob")
    return {each["name"]: each for each in (*pod["initContainers"], *pod["containers"])}


def test_there_is_no_backup_by_default() -> None:
    assert not {"CronJob", "PersistentVolumeClaim"} & set(render(None).kinds)


def test_a_backup_changes_nothing_else() -> None:
    plain = render(None).objects
    assert [each for each in render().objects if each in plain] == plain


@pytest.mark.parametrize("delivery", Delivery)
def test_it_is_part_of_the_release_and_no_hook(delivery: Delivery) -> None:
    objects = render(delivery=delivery)
    for kind in ("CronJob", "PersistentVolumeClaim"):
        manifest = objects.one(kind, "backup")
        assert manifest["metadata"]["name"] == "spicedb-backup"
        assert not any("hook" in name for name in manifest["metadata"].get("annotations", {}))


@pytest.mark.parametrize(
    ("delivery", "annotations"),
    [
        (Delivery.HELM, {"helm.sh/resource-policy": "keep"}),
        (Delivery.ARGOCD, {"argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}),
        (Delivery.KUBECTL, {"kustomize.toolkit.fluxcd.io/prune": "disabled"}),
    ],
)
def test_the_claim_stays_when_the_release_is_deleted(delivery: Delivery, annotations: dict[str, str]) -> None:
    claim = render(delivery=delivery).one("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == annotations
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}


def test_a_pod_opens_the_volume_because_programs_wait_for_it() -> None:
    """Helm and Argo CD wait until a claim is bound, and many are bound only when the first pod needs them."""
    for delivery in (Delivery.HELM, Delivery.KUBECTL):
        job = render(delivery=delivery).one("Job", "backup")
        assert re.fullmatch("spicedb-volume-[0-9a-f]{7}", job["metadata"]["name"])
        assert not any("hook" in name for name in job["metadata"].get("annotations", {}))
    hook = render(delivery=Delivery.ARGOCD).one("Job", "backup")["metadata"]
    assert (hook["name"], hook["annotations"]["argocd.argoproj.io/hook"]) == ("spicedb-volume", "Sync")
    claims = [volume["persistentVolumeClaim"] for volume in render().pod("Job", "backup")["volumes"]]
    assert claims == [{"claimName": "spicedb-backup"}]


def test_a_claim_that_exists_is_used_as_it_is() -> None:
    objects = render(BackupProps(schedule="@daily", claim="theirs"))
    assert [each["kind"] for each in objects.all(component="backup")] == ["CronJob"]
    [volume] = objects.pod("CronJob")["volumes"]
    assert volume == {"name": "backup", "persistentVolumeClaim": {"claimName": "theirs"}}


def test_the_claim_has_the_size_and_the_class() -> None:
    spec = render(BackupProps(schedule="@daily", storage="2Ti", storage_class="fast")).one("PersistentVolumeClaim")
    assert spec["spec"]["storageClassName"] == "fast"
    assert spec["spec"]["resources"]["requests"]["storage"] == "2Ti"


def test_the_schedule_is_the_one_of_the_cron_job() -> None:
    spec = render(BackupProps(schedule="@daily", time_zone="Europe/Berlin", suspend=True)).one("CronJob")["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["suspend"]) == ("@daily", "Europe/Berlin", True)
    plain = render().one("CronJob")["spec"]
    assert "timeZone" not in plain
    assert (plain["concurrencyPolicy"], plain["suspend"]) == ("Forbid", False)
    assert plain["startingDeadlineSeconds"] >= 60


def test_zed_writes_under_a_name_that_no_other_pod_has() -> None:
    zed = steps(render())["zed"]
    assert zed["command"][:3] == ["zed", "backup", "create"]
    assert zed["command"][3].endswith("/partial/spicedb-backup.$(BACKUP_POD).partial")
    [pod] = [each for each in zed["env"] if each["name"] == "BACKUP_POD"]
    assert pod["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert list(steps(render())) == ["prepare-backup", "zed", "finish-backup"]


def test_zed_connects_as_other_clients_do() -> None:
    assert "--insecure" in steps(render())["zed"]["args"]
    ca, server = SecretKey("grpc", "ca.crt"), ServerProps(grpc_tls=TLS.from_secret("grpc"))
    zed = steps(render(BackupProps(schedule="@daily", ca=ca, hostname="a.example.com"), server=server))["zed"]
    assert "--certificate-path=/etc/spicedb/ca/ca.crt" in zed["args"]
    assert "--hostname-override=a.example.com" in zed["args"]
    assert {"name": "ca", "mountPath": "/etc/spicedb/ca", "readOnly": True} in zed["volumeMounts"]


def test_containers_of_users_run_before_those_of_the_backup() -> None:
    proxy = {"name": "proxy", "image": "example.com/proxy:1", "restartPolicy": "Always"}
    found = steps(render(BackupProps(schedule="@daily", init_containers=[proxy], env={"A": "b"})))
    assert list(found) == ["proxy", "prepare-backup", "zed", "finish-backup"]
    assert {"name": "A", "value": "b"} in found["zed"]["env"]


def test_its_pods_reach_the_servers_and_nothing_else() -> None:
    policies = NetworkPolicies(clients=[])
    objects = render(network_policies=policies)
    labels = objects.one("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    own = objects.one("NetworkPolicy", "backup")["spec"]
    assert own["podSelector"]["matchLabels"].items() <= labels.items()
    assert own["egress"][-1]["ports"] == [{"protocol": "TCP", "port": 50051}]
    allowed = objects.one("NetworkPolicy", "server")["spec"]["ingress"][0]["from"]
    assert any(peer["podSelector"]["matchLabels"].items() <= labels.items() for peer in allowed)


def test_the_names_of_its_jobs_fit() -> None:
    cron_job = render(name="a" * LONGEST_NAME).one("CronJob")["metadata"]["name"]
    # The limit of the API server, because it adds up to 11 for the names of Jobs.
    assert len(cron_job) <= 52


def test_an_engine_without_migration_can_be_backed_up() -> None:
    assert render(datastore=Memory()).one("CronJob")


# ---------------------------------------------------------------- the scripts


def run(container: Object, folder: Path, pod: str = "spicedb-backup-1-a") -> subprocess.CompletedProcess[str]:
    """Runs the script of a container with the shell of this machine, in another folder."""
    shell, option, script = container["command"]
    values = {each["name"]: each.get("value", pod) for each in container["env"]}
    script = script.replace(container["volumeMounts"][0]["mountPath"], str(folder))
    return subprocess.run(
        [shell, option, script], env={"PATH": os.environ["PATH"], **values}, capture_output=True, text=True
    )


def back_up(objects: Manifests, folder: Path, text: str, pod: str = "spicedb-backup-1-a") -> str:
    """Does what zed does, and finishes the backup. Returns the name of the file."""
    assert run(steps(objects)["prepare-backup"], folder, pod).returncode == 0
    assert stat.S_IMODE((folder / "partial").stat().st_mode) == 0o700, "zed lets others read its file"
    (folder / "partial" / f"spicedb-backup.{pod}.partial").write_text(text)
    before = {each.name for each in folder.iterdir()}
    done = run(steps(objects)["finish-backup"], folder, pod)
    assert done.returncode == 0, done.stderr
    [made] = {each.name for each in folder.iterdir()} - before
    return made


def test_a_complete_backup_gets_its_name(tmp_path: Path) -> None:
    made = back_up(render(), tmp_path, "content")
    assert re.fullmatch(r"spicedb-backup-\d{8}T\d{6}Z\.zedbackup", made)
    assert (tmp_path / made).read_text() == "content"
    assert stat.S_IMODE((tmp_path / made).stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["partial", made]


def test_only_the_newest_backups_stay(tmp_path: Path) -> None:
    objects = render(BackupProps(schedule="@daily", keep=3))
    others = ["spicedb-backup-20260101T000000Z.zedbackup.json", "other-backup-20260101T000000Z.zedbackup", "notes"]
    others += ["spicedb-backup-today.zedbackup", "my-spicedb-backup-20260101T000000Z.zedbackup"]
    old = [f"spicedb-backup-2026010{day}T000000Z.zedbackup" for day in range(1, 6)]
    for name in (*others, *old):
        (tmp_path / name).touch()
    made = back_up(objects, tmp_path, "")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([*others, *old[-2:], made, "partial"])


@pytest.mark.parametrize("keep", [1, 2])
def test_the_new_backup_stays_even_if_clocks_differ(keep: int, tmp_path: Path) -> None:
    later = ["spicedb-backup-29990101T000000Z.zedbackup", "spicedb-backup-29990102T000000Z.zedbackup"]
    for name in later:
        (tmp_path / name).touch()
    made = back_up(render(BackupProps(schedule="@daily", keep=keep)), tmp_path, "new")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([made, *later[3 - keep :], "partial"])


def test_two_backups_at_the_same_time_have_two_names(tmp_path: Path) -> None:
    one, two = (back_up(render(), tmp_path, pod, pod) for pod in ("a", "b"))
    assert one != two
    assert {(tmp_path / name).read_text() for name in (one, two)} == {"a", "b"}


def test_without_a_complete_backup_nothing_is_deleted(tmp_path: Path) -> None:
    for day in range(1, 10):
        (tmp_path / f"spicedb-backup-2026010{day}T000000Z.zedbackup").touch()
    assert run(steps(render())["finish-backup"], tmp_path).returncode != 0
    assert len(list(tmp_path.iterdir())) == 9


def test_what_interrupted_backups_left_is_deleted(tmp_path: Path) -> None:
    ago = time.time() - timedelta(hours=2).total_seconds()
    names = {
        "partial/spicedb-backup.spicedb-backup-1-a.partial": ago,
        "partial/spicedb-backup.spicedb-backup-1-a.partial.lock": ago,
        "partial/spicedb-backup.spicedb-backup-2-a.partial": time.time(),
        "partial/spicedb-backup.try-a.partial": time.time(),
        "partial/other-backup.other-backup-1-a.partial": ago,
        "spicedb-backup-20260101T000000Z.zedbackup": ago,
    }
    (tmp_path / "partial").mkdir()
    for name, moment in names.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (moment, moment))
    # The next pod of the second Job: what the first one has left is gone at once.
    done = run(steps(render())["prepare-backup"], tmp_path, "spicedb-backup-2-b")
    assert done.returncode == 0, done.stderr
    left = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}
    assert left == {*list(names)[3:]}


def test_the_volume_must_be_writable(tmp_path: Path) -> None:
    container = render().pod("Job", "backup")["containers"][0]
    assert run(container, tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert run(container, tmp_path / "missing").returncode != 0


# ---------------------------------------------------------------- schedules, and the alert


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ("15 3 * * *", 24),
        ("0 0,12 * * *", 12),
        ("*/30 * * * *", 0.5),
        ("0 8-17/3 * * *", 15),
        ("0 3 * * mon-FRI", 72),
        ("0 3 1 * 0", 168),
        ("0 3 */2 * 0", 48),
        ("0 0 ? 1,JUL *", 24 * 154),
        ("5/20 4 * * *", 24 - 40 / 60),
        ("@hourly", 1),
        ("@midnight", 24),
        ("@weekly", 168),
        ("@monthly", 24 * 31),
        ("@yearly", 24 * 366),
    ],
)
def test_the_longest_time_between_two_runs(schedule: str, hours: float) -> None:
    assert list(problems(BackupProps(schedule=schedule))) == []
    assert longest_gap(schedule) == timedelta(hours=hours)


def alert(backup: BackupProps, **fields: Any) -> Object:
    [group] = render(backup, monitoring=Monitoring(alerts=Alerts()), **fields).one("PrometheusRule")["spec"]["groups"]
    [found] = (rule for rule in group["rules"] if rule["alert"] == "SpiceDBBackupLate")
    return dict(found)


def test_a_late_backup_has_an_alert() -> None:
    rule = alert(DAILY)
    last = 'max by (namespace, cronjob) (kube_cronjob_status_last_successful_time{cronjob="spicedb-backup"})'
    made = 'max by (namespace, cronjob) (kube_cronjob_created{cronjob="spicedb-backup"})'
    assert rule["expr"] == f"time() - ({last} or {made}) > 93600"
    assert "26 h" in rule["annotations"]["summary"]


def test_the_alert_follows_the_schedule() -> None:
    assert alert(BackupProps(schedule="@weekly"))["expr"].endswith(f"> {(7 * 24 + 2) * 3600}")
    assert alert(BackupProps(schedule="@weekly", late_after_seconds=5400))["expr"].endswith("> 5400")
    assert "90 min" in alert(BackupProps(schedule="@weekly", late_after_seconds=5400))["annotations"]["summary"]


def test_the_alert_is_about_the_cron_job_of_its_release() -> None:
    assert 'cronjob="authz-backup"' in alert(DAILY, name="authz", migration=MigrationProps(enabled=False))["expr"]
