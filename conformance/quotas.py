"""Quotas and limit ranges of a namespace, and what the API makes of pods that ask for too much."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from conformance.evidence import Lens, Question
from conformance.quantity import quantity

if TYPE_CHECKING:
    from conformance.cluster import Cluster, Object

BOUNDS = {
    "CPU requests": {"requests.cpu", "cpu"},
    "memory requests": {"requests.memory", "memory"},
    "storage requests": {"requests.storage"},
    "pods": {"pods", "count/pods"},
}
_OPPOSITES = (("Terminating", "NotTerminating"), ("BestEffort", "NotBestEffort"))
_OVER = re.compile(r"exceeded quota: \S+, requested: (?:\S+,)?(?:requests\.|limits\.)?cpu=")
_CREATED, _FORBIDDEN = 201, 403
_OURS = re.compile(r"c[0-9]+")
_MANY = 10_000  # cores: more than any quota of this kind of platform
_MOST_CONTAINERS = 200


@dataclass(frozen=True)
class Trial:
    """What the API said to a pod that was never made. `message` is its own refusal.

    `defaulted` says that its containers were given requests and limits; what an
    injector added is not looked at.
    """

    status: int
    message: str
    defaulted: bool

    @property
    def accepted(self) -> bool:
        """Say whether the pod would have been made."""
        return self.status == _CREATED

    @property
    def over_quota(self) -> bool:
        """Say whether a quota refused its CPU, in the words that only quotas use.

        A namespace that is full of pods refuses every pod and may still not bound CPU.
        """
        return self.status == _FORBIDDEN and bool(_OVER.search(self.message))

    @property
    def must_ask(self) -> bool:
        """Say whether a quota refused it because it asks for nothing."""
        return (
            self.status == _FORBIDDEN
            and "failed quota:" in self.message
            and "must specify" in self.message
        )

    @property
    def by_policy(self) -> bool:
        """Say whether an admission webhook or policy refused it."""
        words = ("admission webhook", "ValidatingAdmissionPolicy")
        return not self.accepted and any(one in self.message for one in words)

    @property
    def elsewise(self) -> bool:
        """Say whether it was refused for a reason that says nothing of quotas or policies."""
        quota = "exceeded quota:" in self.message or "failed quota:" in self.message
        return not (self.accepted or self.by_policy or quota)

    def __str__(self) -> str:
        """Return the answer for people."""
        return "it would be made" if self.accepted else f"{self.status}: {self.message}"


@dataclass(frozen=True)
class Quotas:
    """Reads quotas and limit ranges, and tries pods as dry runs."""

    lens: Lens
    cluster: Cluster

    def bounded(self, namespace: str) -> dict[str, str]:
        """Return what the quotas bound for every pod, with the bound, by its name in a quota.

        A quota with scopes is about some pods only; two with opposite scopes are about all.
        """
        quotas = self.cluster.within("resourcequotas", namespace)
        found: dict[str, str] = {}
        for item in quotas:
            if not _scopes(item):
                found |= _hard(item)
        for pair in _OPPOSITES:
            left, right = (
                {k: v for one in quotas if _scopes(one) == {scope} for k, v in _hard(one).items()}
                for scope in pair
            )
            found |= {key: f"{left[key]} and {right[key]}" for key in left.keys() & right.keys()}
        return found

    def scoped(self, namespace: str) -> tuple[str, ...]:
        """Return the quotas that are about some pods only, with their scopes."""
        quotas = self.cluster.within("resourcequotas", namespace)
        return tuple(
            f"{one['metadata']['name']} ({', '.join(sorted(_scopes(one)))})"
            for one in quotas
            if _scopes(one)
        )

    def defaults(self, namespace: str) -> dict[str, str]:
        """Return what limit ranges give a container that asks for nothing, such as `limits.cpu`."""
        found: dict[str, str] = {}
        for one in self._container_limits(namespace):
            for key, name in (("default", "limits"), ("defaultRequest", "requests")):
                found |= {f"{name}.{what}": str(v) for what, v in (one.get(key) or {}).items()}
        return found

    def modest(self, namespace: str) -> Trial:
        """Try a pod that asks for little."""
        return self._try(namespace, "modest", [_resources("50m", "64Mi")])

    def immodest(self, namespace: str) -> Trial:
        """Try a pod that asks for more CPU than quotas give, in containers of lawful size."""
        most = [
            quantity(str((one.get("max") or {})["cpu"]))
            for one in self._container_limits(namespace)
            if "cpu" in (one.get("max") or {})
        ]
        each = min(most, default=quantity(str(_MANY)))
        number = min(ceil(_MANY / each), _MOST_CONTAINERS)
        asked = _resources(f"{int(each * 1000)}m", "64Mi")
        return self._try(namespace, "immodest", [asked] * number)

    def silent(self, namespace: str) -> Trial:
        """Try a pod that asks for nothing."""
        return self._try(namespace, "silent", [{}])

    def _container_limits(self, namespace: str) -> list[Object]:
        ranges = self.cluster.within("limitranges", namespace)
        return [
            one
            for item in ranges
            for one in item["spec"].get("limits") or ()
            if one.get("type") == "Container"
        ]

    def _try(self, namespace: str, kind: str, resources: list[Object]) -> Trial:
        answer = self.lens.look(
            Question(
                "kubernetes.dry_create",
                f"{namespace}/{kind}",
                {"kind": "pods", "namespace": namespace, "body": _pod(kind, resources)},
            )
        ).value
        body: Any = answer["body"]
        spec = body.get("spec", {}) if isinstance(body, dict) else {}
        made = [one for one in spec.get("containers", ()) if _OURS.fullmatch(one["name"])]
        return Trial(
            status=int(answer["status"]),
            message=str(body.get("message", "") if isinstance(body, dict) else body),
            defaulted=bool(made) and all(map(_asks, made)),
        )


def _asks(container: Object) -> bool:
    given = container.get("resources") or {}
    sides = [given.get("requests") or {}, given.get("limits") or {}]
    return all(one.get("cpu") and one.get("memory") for one in sides)


def _scopes(quota: Object) -> set[str]:
    spec = quota["spec"]
    selected = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return {*(spec.get("scopes") or ()), *(one["scopeName"] for one in selected)}


def _hard(quota: Object) -> dict[str, str]:
    return {key: str(value) for key, value in (quota["spec"].get("hard") or {}).items()}


def _resources(cpu: str, memory: str) -> Object:
    amount = {"cpu": cpu, "memory": memory}
    return {"requests": amount, "limits": amount}


def _pod(kind: str, resources: list[Object]) -> Object:
    """Return a pod that every level of pod security admits."""
    containers = [
        {
            "name": f"c{number}",
            "image": "registry.invalid/never-run:1",
            "resources": one,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
        }
        for number, one in enumerate(resources)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"aik-conformance-{kind}"},
        "spec": {
            "containers": containers,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        },
    }
