"""The program Helm, as far as the package uses it: it works on the fake API server.

It knows Helm's rules by itself, from Helm's documentation and source: how it stores revisions, labels them and locks a
release. It uses no table and no function of the package. It does not render templates: `charts` puts the rendered
objects into the chart.
"""

from __future__ import annotations

import base64
import copy
import gzip
import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.programs import Ended
from tests.apiserver import NAMESPACE, ApiServer, Object
from tests.controllers import finish_job, roll_out
from tests.fast_yaml import load

RENDERED = "rendered.json"
"""The file of a chart that has its rendered objects."""
BUSY = "another operation (install/upgrade/rollback) is in progress"
_HOOK = "helm.sh/hook"
_OWN = ("name", "owner", "status", "version", "createdAt", "modifiedAt")
"""Labels that Helm sets. All others are those of the user."""
_KEEP = "helm.sh/resource-policy"
_SWITCHES = {"--wait", "--logs", "--reset-then-reuse-values", "--install"}
_VALUED = {"--description", "--labels", "--timeout", "--namespace", "--output", "--set-string", "--kube-context"}


class Killed(BaseException):
    """This process is killed, with the programs that it runs."""


class Stopped(Exception):  # noqa: N818 (it is no error of Helm)
    """The program is killed."""


@define
class Helm:
    """Takes the place of the function that runs programs. What it does not know is an error, as in Helm."""

    api: ApiServer
    fails: Callable[[str], bool] = lambda _: False
    """Whether the servers of a chart with this ``appVersion`` never become ready."""
    job_fails: Callable[[Object], str] = lambda _: ""
    """Why the Job of a hook fails, such as ``BackoffLimitExceeded``. Empty: it does not."""
    job_log: Callable[[Object], str] = lambda _: ""
    """The log of the Job of a hook."""
    stops_at: str = ""
    """The point at which Helm is killed: ``pending`` or ``applied``. Empty: it is not."""
    _watch: Callable[[], str | None] = field(default=lambda: None)
    _cluster: Cluster | None = None

    def run(
        self, command: Sequence[str], cluster: Cluster, *, seconds: float = 60, watch: Callable[[], str | None]
    ) -> Ended:
        """Runs ``helm upgrade | rollback | uninstall | test | get values | history | template``."""
        self._watch, self._cluster = watch, cluster
        words, options = _parsed(command[1:])
        if None in options.values():
            return Ended(False, "", f"Error: unknown flag: {shlex.join(command)}")
        if options.get("--namespace") != NAMESPACE:
            return Ended(False, "", f"Error: unexpected namespace {options.get('--namespace')}")
        acts = {"upgrade": self._upgrade, "rollback": self._roll_back, "test": self._test, "get": self._values}
        acts |= {"history": self._history, "template": self._template, "uninstall": self._uninstall}
        return acts[words[0]](words[1:], options)

    # -------------------------------------------------------- revisions

    def revisions(self, release: str) -> list[Object]:
        """The Secrets of a release, oldest first."""
        found = [each for each in self.api.of("secrets") if _labels(each).get("owner") == "helm"]
        return sorted((each for each in found if _labels(each)["name"] == release), key=_number)

    def install(self, release: str, objects: Sequence[Object], version: str) -> None:
        """Stores the first revision. Its objects are in the cluster already."""
        chart = {"metadata": {"name": "spicedb", "version": "1.0.0", "appVersion": version}}
        self._store(release, 1, "deployed", {}, {"chart": chart, **_split(objects)})

    def begins(self, release: str) -> Object:
        """Somebody else's ``helm upgrade`` begins, and goes on. Returns its Secret."""
        last = self.revisions(release)[-1]
        content = {**_content(last), "info": {"description": "somebody else"}}
        return self._store(release, _number(last) + 1, "pending-upgrade", _custom(last), content)

    def ends(self, release: str) -> None:
        """The Helm that works on the release ends without success."""
        self._mark(self.revisions(release)[-1], "failed")

    def ends_in_order(self, release: str) -> None:
        """A Helm that waits gets Ctrl-C."""
        newest = self.revisions(release)[-1]
        status = _labels(newest)["status"]
        if status.startswith("pending-"):
            last = self.revisions(release)[-2:][0]
            self._fail(newest["metadata"]["name"], last, hooks=status != "pending-rollback")

    def _store(self, release: str, number: int, status: str, custom: Object, content: Object) -> Object:
        labels = {**custom, "owner": "helm", "name": release, "version": str(number), "status": status}
        text = gzip.compress(json.dumps({"name": release, "version": number, **content}).encode(), 1)
        data = {"release": base64.b64encode(base64.b64encode(text)).decode()}
        metadata = {"name": _name(release, number), "labels": labels, "creationTimestamp": "2030-01-01T00:00:00Z"}
        return self.api.put("secrets", {"metadata": metadata, "type": "helm.sh/release.v1", "data": data})

    def _mark(self, secret: Object, status: str) -> None:
        changed = copy.deepcopy(secret)
        changed["metadata"]["labels"]["status"] = status
        del changed["metadata"]["resourceVersion"]
        self.api.put("secrets", changed)

    # -------------------------------------------------------- upgrade and rollback

    def _upgrade(self, words: list[str], options: dict[str, Any]) -> Ended:
        release, folder = words
        revisions = self.revisions(release)
        if not revisions and "--install" not in options:
            return Ended(False, "", f'Error: UPGRADE FAILED: "{release}" has no deployed releases')
        last = revisions[-1] if revisions else _NOTHING
        if _labels(last)["status"].startswith("pending-"):
            return Ended(False, "", f"Error: UPGRADE FAILED: {BUSY}")
        chart = load((Path(folder) / "Chart.yaml").read_text(encoding="utf-8"))
        content = {
            "chart": {"metadata": chart},
            "info": {"description": options["--description"]},
            **_split(json.loads((Path(folder) / RENDERED).read_text(encoding="utf-8"))),
        }
        custom = {**_custom(last), **dict(each.split("=") for each in options["--labels"].split(","))}
        pending = "pending-upgrade" if revisions else "pending-install"
        made = self._store(release, _number(last) + 1, pending, custom, content)
        return self._change(release, made, last, "UPGRADE FAILED" if revisions else "INSTALLATION FAILED", hooks=True)

    def _uninstall(self, words: list[str], _: dict[str, Any]) -> Ended:
        """Hooks stay, and so does what has the annotation that keeps it."""
        (release,) = words
        revisions = self.revisions(release)
        if not revisions:
            return Ended(False, "", f"Error: uninstall: Release not loaded: {release}: release: not found")
        self._mark(revisions[-1], "uninstalling")
        self._at("pending")
        self._wait()
        for each in _objects(_content(revisions[-1])):
            if each["metadata"].get("annotations", {}).get(_KEEP) != "keep":
                self.api.client().delete(self.api.path_of(each))
        self._at("applied")
        for each in revisions:
            self.api.remove("secrets", each["metadata"]["name"])
        return Ended(True, f'release "{release}" uninstalled\n')

    def _roll_back(self, words: list[str], options: dict[str, Any]) -> Ended:
        release, number = words
        revisions = self.revisions(release)
        target = next((each for each in revisions if _number(each) == int(number)), None)
        if target is None:
            return Ended(False, "", f"Error: release has no {number} version")
        last = revisions[-1]
        content = {**_content(target), "info": {"description": f"Rollback to {number}"}}
        made = self._store(release, _number(last) + 1, "pending-rollback", _custom(target), content)
        return self._change(release, made, last, "ROLLBACK FAILED", hooks=False)

    def _change(self, release: str, made: Object, last: Object, failed: str, *, hooks: bool) -> Ended:
        """Applies a revision. A Helm that is killed leaves it pending; one that is interrupted, failed."""
        name = made["metadata"]["name"]
        try:
            self._at("pending")
            content = _content(made)
            if hooks:
                self._run_hooks(content, "pre-upgrade")
            self._wait()
            self._apply(release, content, _content(last))
            self._at("applied")
            self._wait()
            version = content["chart"]["metadata"]["appVersion"]
            if self.fails(version):
                raise TimeoutError("context deadline exceeded")
            if hooks:
                self._run_hooks(content, "post-upgrade")
        except (Stopped, Killed):
            raise
        except (TimeoutError, InterruptedError) as error:
            self._fail(name, last, hooks=hooks)
            stopped = str(error) if isinstance(error, InterruptedError) else None
            return Ended(False, "", f"Error: {failed}: {error}", stopped)
        except BaseException:
            self._fail(name, last, hooks=hooks)
            raise
        for each in self.revisions(release):
            if _labels(each)["status"] == "deployed":
                self._mark(each, "superseded")
        self._mark(self.api.get("secrets", name), "deployed")
        return Ended(True, f'Release "{release}" has been changed. Happy Helming!\n')

    def _fail(self, name: str, last: Object, *, hooks: bool) -> None:
        """A rollback that fails leaves no deployed revision."""
        self._mark(self.api.get("secrets", name), "failed")
        if not hooks:
            self._mark(self.api.get("secrets", last["metadata"]["name"]), "superseded")

    def _at(self, point: str) -> None:
        if point == self.stops_at:
            raise Stopped

    def _wait(self) -> None:
        """A second passes."""
        assert self._cluster is not None
        self._cluster.clock.sleep(1)
        reason = self._watch()
        if reason is not None:
            raise InterruptedError(reason)

    def _apply(self, release: str, content: Object, before: Object) -> None:
        wanted = _objects(content)
        kept = {(each["kind"], each["metadata"]["name"]) for each in wanted}
        for each in wanted:
            by_helm = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": NAMESPACE}
            each["metadata"]["annotations"] = {**each["metadata"].get("annotations", {}), **by_helm}
            self.api.load(each)
            if each["kind"] == "Deployment":
                roll_out(self.api, each["metadata"]["name"])
        for each in _objects(before):
            if (each["kind"], each["metadata"]["name"]) not in kept:
                self.api.remove(self.api.path_of(each).split("/")[-2], each["metadata"]["name"])

    def _run_hooks(self, content: Object, event: str) -> None:
        for hook in content["hooks"]:
            if hook["kind"] != "Job" or event not in hook["metadata"]["annotations"][_HOOK].split(","):
                continue
            name = hook["metadata"]["name"]
            self._remove_job(name)
            failed = self.job_fails(hook)
            finish_job(self.api, self.api.put("jobs", hook), failed=failed, log=self.job_log(hook))
            if failed:
                raise TimeoutError(f"failed {event}: job {name} failed: {failed}")
            if event == "post-upgrade":  # The clean-up deletes the migration, and Helm deletes the clean-up.
                self._remove_job(name)
                self._remove_job("spicedb-migration")

    def _remove_job(self, name: str) -> None:
        job = self.api.find("jobs", name)
        if job is not None:
            self.api.remove("jobs", name)
            for pod in self.api.of("pods"):
                if pod["metadata"]["labels"].get("job-name") == name:
                    self.api.remove("pods", pod["metadata"]["name"])

    # -------------------------------------------------------- questions

    def _test(self, words: list[str], _: dict[str, Any]) -> Ended:
        newest = self.revisions(words[0])[-1]
        ok = _labels(newest)["status"] == "deployed"
        return Ended(True, "Phase: Succeeded") if ok else Ended(False, "", "Error: release is not deployed")

    def _values(self, words: list[str], _: dict[str, Any]) -> Ended:
        if words[0] != "values" or not self.revisions(words[1]):
            return Ended(False, "", "Error: release: not found")
        return Ended(True, "null\n")

    def _history(self, words: list[str], _: dict[str, Any]) -> Ended:
        found = [
            {
                "revision": _number(each),
                "status": _labels(each)["status"],
                "app_version": _content(each)["chart"]["metadata"]["appVersion"],
            }
            for each in self.revisions(words[0])
        ]
        return Ended(True, json.dumps(found))

    def _template(self, words: list[str], options: dict[str, Any]) -> Ended:
        """Renders one object that looks a Deployment up. Helm validates what it renders."""
        (file,) = (Path(words[1]) / "templates").iterdir()
        template = file.read_text(encoding="utf-8")
        name = options["--set-string"].partition("name=")[2]
        looked_up = re.search(r'lookup "([^"]+)" "([^"]+)" \.Release\.Namespace \.Values\.name', template)
        if looked_up is None:
            return Ended(False, "", f"Error: this Helm cannot render {template}")
        wanted = {"apiVersion": looked_up[1], "kind": looked_up[2], "metadata": {"name": name}}
        plural = self.api.path_of(wanted).split("/")[-2]
        found = self.api.find(plural, name) if options["--dry-run"] == "server" else None
        text = re.sub("{{.*?}}", json.dumps(found["metadata"]["uid"] if found else ""), template)
        if not load(text).get("kind"):
            return Ended(False, "", "Error: unable to build kubernetes objects: Object 'Kind' is missing")
        return Ended(True, f"---\n# Source: lookup/templates/{file.name}\n{text}")


_NOTHING: Object = {"metadata": {"labels": {"version": "0", "status": ""}}}
"""The revision before the first one."""


def _parsed(command: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    words, options, rest = list[str](), dict[str, Any](), iter(command)
    for each in rest:
        name, _, value = each.partition("=")
        if not each.startswith("--"):
            words.append(each)
        elif name == "--dry-run":
            options[name] = value
        elif each in _SWITCHES:
            options[each] = True
        else:
            options[each] = next(rest) if each in _VALUED else None
    return words, options


def _split(objects: Sequence[Object]) -> Object:
    """The manifest and the hooks of a revision."""
    hooks = [each for each in objects if _HOOK in each["metadata"].get("annotations", {})]
    rest = [each for each in objects if each not in hooks]
    return {"manifest": "".join(f"---\n{json.dumps(each)}\n" for each in rest), "hooks": hooks, "config": {}}


def _objects(content: Object) -> list[Object]:
    return [json.loads(line) for line in content["manifest"].splitlines() if line != "---"]


def _content(secret: Object) -> Object:
    if secret is _NOTHING:
        return {"manifest": "", "hooks": []}
    text = gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"])))
    found: Object = json.loads(text)
    return found


def _labels(secret: Object) -> Object:
    found: Object = secret["metadata"].get("labels") or {}
    return found


def _custom(secret: Object) -> Object:
    return {key: value for key, value in _labels(secret).items() if key not in _OWN}


def _number(secret: Object) -> int:
    return int(_labels(secret)["version"])


def _name(release: str, number: int) -> str:
    return f"sh.helm.release.v1.{release}.v{number}"
