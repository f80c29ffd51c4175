"""Sidecar injection: what namespaces ask for, which injectors serve it, what really comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.cluster import labels, selects
from conformance.evidence import Question
from conformance.pods import containers

if TYPE_CHECKING:
    from conformance.cluster import Cluster, Object
    from conformance.evidence import Lens

SIDECAR = "istio-proxy"
SWITCH, REVISION = "istio-injection", "istio.io/rev"
_INJECTOR = "sidecar-injector.istio.io"


@dataclass(frozen=True)
class Wish:
    """What the labels of a namespace say about injection, None where they say nothing."""

    switch: str | None
    revision: str | None

    @property
    def enabled(self) -> bool:
        """Say whether they ask for sidecars; the switch goes before the revision."""
        return self.switch == "enabled" or (self.switch is None and bool(self.revision))

    @property
    def disabled(self) -> bool:
        """Say whether they refuse sidecars."""
        return self.switch is not None and self.switch != "enabled"

    def __str__(self) -> str:
        """Return both labels as they stand."""
        return f"{SWITCH}: {self.switch or 'absent'}, {REVISION}: {self.revision or 'absent'}"


@dataclass(frozen=True)
class Injector:
    """A webhook that puts sidecars into new pods. `revision` is the one it works for."""

    name: str
    revision: str
    selector: Object | None


@dataclass(frozen=True)
class Injected:
    """What the API would have made of a new pod. `refusal` is set where it would take none."""

    images: tuple[str, ...]
    refusal: str = ""


@dataclass(frozen=True)
class Injection:
    """Reads labels and webhooks, and asks for pods that are never made."""

    lens: Lens
    cluster: Cluster

    def wish(self, namespace: Object) -> Wish:
        """Return what a namespace's labels ask for."""
        carried = labels(namespace)
        return Wish(carried.get(SWITCH), carried.get(REVISION))

    @property
    def injectors(self) -> tuple[Injector, ...]:
        """Return the injectors of new pods that choose them by the labels of namespaces."""
        return tuple(
            Injector(hook["name"], labels(item).get(REVISION, "default"), hook["namespaceSelector"])
            for item in self.cluster.all("mutatingwebhookconfigurations")
            for hook in item.get("webhooks") or ()
            if str(hook["name"]).endswith(_INJECTOR)
            and "namespaceSelector" in hook
            and not _about_pods_that_ask(hook)
            and any(_makes_pods(rule) for rule in hook.get("rules") or ())
        )

    def serving(self, namespace: Object) -> tuple[Injector, ...]:
        """Return the injectors that take new pods of a namespace which say nothing themselves."""
        carried = labels(namespace)
        return tuple(one for one in self.injectors if selects(one.selector, carried))

    def ask(self, namespace: str) -> Injected:
        """Return what would become of a new pod in a namespace (a dry run: none is made)."""
        question = Question(
            "kubernetes.dry_create",
            f"{namespace}/pod",
            {"kind": "pods", "namespace": namespace, "body": _pod(namespace)},
        )
        answer = self.lens.look(question).value
        if answer["status"] not in {200, 201}:
            body = answer["body"]
            said = body.get("message") if isinstance(body, dict) else body
            return Injected((), f"the API answered {answer['status']}: {said}")
        found = containers(answer["body"]["spec"])
        return Injected(tuple(one.image for one in found if one.name == SIDECAR))


def _makes_pods(rule: dict[str, Any]) -> bool:
    operations, resources = rule.get("operations") or (), rule.get("resources") or ()
    return bool({"CREATE", "*"} & set(operations)) and bool({"pods", "*", "*/*"} & set(resources))


def _about_pods_that_ask(hook: Object) -> bool:
    """Say whether a webhook takes only pods that ask for a sidecar by a label of their own."""
    return not selects(hook.get("objectSelector") or {}, {})


def _pod(namespace: str) -> Object:
    """Return a pod that says nothing about injection and that strict namespaces take."""
    hardened = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    sizes = {"cpu": "10m", "memory": "16Mi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "aik-conformance-{run}",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "aik-conformance"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "nothing",
                    "image": "pause:3.10",
                    "resources": {"requests": sizes, "limits": sizes},
                    "securityContext": hardened,
                }
            ],
        },
    }
