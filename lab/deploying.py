"""Put the reference platform on a cluster: its objects, its Secrets, its first backup.

The objects are Kustomize's; `overlays/lab` names the lab's images, `overlays/upstream` the
upstream ones, and nothing else differs. Secrets are made here, once for each cluster, because
a password in a repository is none. Everything may be repeated: what is there stays.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from lab import layout, steps
from lab.kubectl import Kubectl
from lab.settling import settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PLATFORM = layout.SOURCE / "platform"
MANAGER = "--field-manager=aik-lab"
PASSWORD_BYTES = 24
BACKUP = "postgres-backup"
BACKUP_SECONDS = 180
ROLLOUT_SECONDS = 480.0


@dataclass(frozen=True)
class Credential:
    """A Secret of aikernel-data: values that are known, and keys that are made up at random."""

    name: str
    random: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)


CREDENTIALS = (
    Credential(
        "postgres-credentials",
        random=("postgres-password", "replication-password"),
        fixed={"postgres-user": "aikernel", "postgres-database": "aikernel_catalog"},
    ),
    Credential(
        "postgres-admin-credentials",
        random=("superuser-password", "rewind-password", "restapi-password"),
    ),
    Credential("postgres-monitoring-credentials", ("password",), {"username": "monitoring"}),
    Credential("postgres-backup-credentials", ("password",), {"username": "backup"}),
    Credential("redis-credentials", random=("redis-password", "sentinel-password")),
)


def apply(kubeconfig: Path) -> None:
    """Put the platform on the lab and wait until it is at rest; raise StepError otherwise."""
    _put(Kubectl.of_lab(kubeconfig), "lab", "--force-conflicts")


def deploy(context: str) -> None:
    """Put the platform, with upstream images, on any cluster of the user's kubeconfig.

    Fields that somebody else set in objects of the same names are not taken over: StepError.
    """
    kubectl = Kubectl.of_context(context)
    steps.say(f"deploying to the cluster of context {context}")
    _refuse_without_default_storage(kubectl)
    _put(kubectl, "upstream")


def _put(kubectl: Kubectl, overlay: str, *options: str) -> None:
    with steps.step(f"platform: applying overlays/{overlay}"):
        objects = list(
            yaml.safe_load_all(kubectl.run("kustomize", str(PLATFORM / "overlays" / overlay)))
        )
        namespaces = [each for each in objects if each["kind"] == "Namespace"]
        _apply(kubectl, namespaces, *options)
        for credential in CREDENTIALS:
            _keep_or_make(kubectl, credential)
        _apply(kubectl, list(with_config_digests(objects)), *options)
    with steps.step("platform: waiting until it is at rest"):
        settle(kubectl, within=ROLLOUT_SECONDS)
    _back_up_once(kubectl)


def _apply(kubectl: Kubectl, objects: list[dict[str, Any]], *options: str) -> None:
    text = yaml.safe_dump_all(objects)
    kubectl.run("apply", "--server-side", MANAGER, *options, "-f", "-", stdin=text)


def with_config_digests(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the objects, each pod template annotated with a digest of the ConfigMaps it mounts.

    So a changed ConfigMap rolls the pods that use it, and no process runs on with the old one.
    """
    contents = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each.get("data", {})
        for each in objects
        if each["kind"] == "ConfigMap"
    }
    for each in objects:
        if each["kind"] in ("StatefulSet", "Deployment", "DaemonSet"):
            template = each["spec"]["template"]
            mounted = [
                contents.get((each["metadata"]["namespace"], volume["configMap"]["name"]))
                for volume in template["spec"].get("volumes", [])
                if "configMap" in volume
            ]
            digest = hashlib.sha256(json.dumps(mounted, sort_keys=True).encode()).hexdigest()
            annotations = template["metadata"].setdefault("annotations", {})
            annotations["aikernel.io/config-digest"] = digest[:16]
        yield each


def _keep_or_make(kubectl: Kubectl, credential: Credential) -> None:
    """Complete a Secret: values that exist are kept, missing ones are made."""
    found = kubectl.run(
        "get", "secret", credential.name, "-n", "aikernel-data", "--ignore-not-found", "-o", "json"
    )
    there = json.loads(found).get("data") or {} if found.strip() else {}
    values = completed(credential, {key: b64decode(text).decode() for key, text in there.items()})
    if values.keys() == there.keys():
        return
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": credential.name,
            "namespace": "aikernel-data",
            "labels": {"app.kubernetes.io/part-of": "ai-kernel"},
        },
        "stringData": values,
    }
    _apply(kubectl, [secret], "--force-conflicts")


def completed(credential: Credential, there: Mapping[str, str]) -> dict[str, str]:
    """Return a Secret's values: those that are there, the fixed ones, new random ones."""
    made = {key: secrets.token_urlsafe(PASSWORD_BYTES) for key in credential.random}
    return {**made, **credential.fixed, **there}


def _back_up_once(kubectl: Kubectl) -> None:
    """Run the backup now if none ever succeeded: the schedule's first night may be far."""
    cron = kubectl.read("get", "cronjob", BACKUP, "-n", "aikernel-data")
    if cron.get("status", {}).get("lastSuccessfulTime"):
        return
    with steps.step("platform: first backup"):
        job, place = f"{BACKUP}-first", ("-n", "aikernel-data")
        kubectl.run("delete", "job", job, *place, "--ignore-not-found")
        kubectl.run("create", "job", job, f"--from=cronjob/{BACKUP}", *place)
        done = kubectl.attempt(
            *("wait", "--for=condition=Complete", f"job/{job}", f"--timeout={BACKUP_SECONDS}s"),
            *place,
            within=BACKUP_SECONDS + 10,
        )
        if done.returncode != 0:
            said = kubectl.attempt("logs", f"job/{job}", *place, "--tail=5").stdout.strip()
            raise steps.StepError(f"the first backup did not complete; its log ends: {said}")


def _refuse_without_default_storage(kubectl: Kubectl) -> None:
    """Raise StepError when claims would wait for ever for a class of storage."""
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = kubectl.read("get", "storageclass")["items"]
    if not any(each["metadata"].get("annotations", {}).get(mark) == "true" for each in classes):
        raise steps.StepError(f"the cluster has no default StorageClass: annotate one {mark}=true")
