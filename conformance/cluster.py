"""The cluster's objects, each kind listed once per run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.evidence import Lens, Question
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Iterable

Object = dict[str, Any]


def ref(item: Object) -> str:
    """Return `namespace/name` of an object, or its name where it has no namespace."""
    meta = item["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def labels(item: Object) -> dict[str, str]:
    """Return an object's labels; none is an empty dict."""
    return item["metadata"].get("labels") or {}


def selects(selector: Object | None, carried: dict[str, str]) -> bool:
    """Say whether a LabelSelector selects these labels. None selects nothing; empty, everything."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(carried.get(key) != value for key, value in wanted.items()):
        return False
    return all(_meets(one, carried) for one in selector.get("matchExpressions") or ())


def _meets(one: Object, carried: dict[str, str]) -> bool:
    key, values = one["key"], one.get("values") or ()
    match one["operator"]:
        case "In":
            return carried.get(key) in values
        case "NotIn":
            return carried.get(key) not in values
        case "Exists":
            return key in carried
        case "DoesNotExist":
            return key not in carried
        case other:
            raise UndecidedError(f"a selector has an operator that is not known: {other}")


@dataclass(frozen=True)
class Cluster:
    """Reads API objects through the lens.

    Every method raises `UndecidedError` where the API did not answer: a 403 is
    the suite's own lack of a right and never means that an object is absent.
    """

    lens: Lens

    def all(self, kind: str) -> tuple[Object, ...]:
        """Return all objects of a kind in the whole cluster."""
        return tuple(self.lens.look(Question("kubernetes.list", kind, {"kind": kind})).value)

    def served(self, kind: str) -> bool:
        """Say whether the API serves the kind at all (a CRD may be missing)."""
        answer = self.lens.look(Question("kubernetes.list", kind, {"kind": kind}))
        if answer.kind == "kind-unknown":
            return False
        return answer.value is not None

    def within(self, kind: str, namespace: str) -> tuple[Object, ...]:
        """Return the objects of a kind in one namespace."""
        return tuple(x for x in self.all(kind) if x["metadata"].get("namespace") == namespace)

    def find(self, kind: str, reference: str) -> Object | None:
        """Return the object called `namespace/name` (or `name`); None where it does not exist."""
        return next((one for one in self.all(kind) if ref(one) == reference), None)

    def preload(self, kinds: Iterable[str]) -> None:
        """List several kinds side by side, before they are asked for one by one."""
        self.lens.look_all(Question("kubernetes.list", k, {"kind": k}) for k in kinds)
