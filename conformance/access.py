"""Access as the API server itself decides it: reviews, and requests with an account's own token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.evidence import Question
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.evidence import Answer, Lens
    from conformance.platform import Account
    from conformance.rbac import Subject

REFUSED, ACCEPTED = frozenset({401, 403}), frozenset({200, 201})
_SECURE, _FOR_EVERYBODY = 10250, 10255  # the kubelet's ports
APPS, RBAC = "apps", "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Action:
    """Something to be allowed or not: a verb on a resource (`pods/exec`), or a URL.

    An empty `namespace` is the whole cluster.
    """

    verb: str
    resource: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    url: str = ""

    def __str__(self) -> str:
        """Return the action in words."""
        if self.url:
            return f"{self.verb} {self.url}"
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {what}{named} in {self.namespace or 'the whole cluster'}"

    @property
    def attributes(self) -> dict[str, Any]:
        """Return the action as a SubjectAccessReview asks for it."""
        if self.url:
            return {"nonResourceAttributes": {"path": self.url, "verb": self.verb}}
        resource, _, part = self.resource.partition("/")
        wanted = {
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": part,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {"resourceAttributes": {key: one for key, one in wanted.items() if one}}


@dataclass(frozen=True)
class Call:
    """One request with an account's own token. `body` is sent as a dry run.

    Only the status comes back: what was read stays with the API.
    """

    method: str
    kind: str
    namespace: str = ""
    body: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        """Return the request in words."""
        what = "creates" if self.method == "POST" else "lists"
        return f"{what} {self.kind} in {self.namespace or 'the whole cluster'}"

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the call as the probe takes it."""
        return {
            "method": self.method,
            "kind": self.kind,
            "namespace": self.namespace,
            "body": dict(self.body),
        }


@dataclass(frozen=True)
class Reply:
    """What came of a call. `rights`: it was refused for what its sender may do, and only that.

    Admission (a quota, a policy) refuses with 403 as well, once the rights are there.
    """

    status: int
    rights: bool

    @property
    def accepted(self) -> bool:
        """Say whether the call was carried out, or would have been."""
        return self.status in ACCEPTED

    def __str__(self) -> str:
        """Return the status, and what a refusal was for."""
        return f"HTTP {self.status}" + (" for its rights" if self.rights else "")


@dataclass(frozen=True)
class Door:
    """What one address says to somebody without any credential.

    `status` is None where what answered does not speak HTTP. `by_api` says that the
    answer is a Kubernetes API's or kubelet's own, and not that of something in between.
    """

    status: int | None
    by_api: bool
    said: str

    @property
    def refused(self) -> bool:
        """Say whether the caller was turned away for who it is."""
        return self.status in REFUSED


@dataclass(frozen=True)
class Access:
    """Asks the API server. Raises `UndecidedError` where it did not answer."""

    lens: Lens

    def allowed(self, subject: Subject, actions: Iterable[Action]) -> list[bool | UndecidedError]:
        """Return for each action whether the API server would allow it, or why that is open."""
        asked = [_review(subject, one) for one in actions]
        return [_decision(one) for one in self.lens.look_all(asked)]

    def one(self, subject: Subject, action: Action) -> bool:
        """Return whether the API server would allow one action."""
        (found,) = self.allowed(subject, [action])
        if isinstance(found, UndecidedError):
            raise found
        return found

    def replies(self, account: Account, calls: Iterable[Call]) -> list[Reply]:
        """Return what came of each call, made with a fresh token of the account."""
        asked = {
            "namespace": account.namespace,
            "name": account.name,
            "calls": [one.arguments for one in calls],
        }
        value = self.lens.look(Question("rbac.as_account", account.ref, asked)).value
        return [Reply(int(one["status"]), bool(one["rights"])) for one in value]

    def lifetime(self, account: Account) -> int | None:
        """Return the life in seconds of a token that is asked for without a limit.

        None where this run may not ask for one.
        """
        asked = {"namespace": account.namespace, "name": account.name}
        answer = self.lens.look(Question("rbac.lifetime", account.ref, asked))
        return None if answer.kind == "not-enabled" else int(answer.value["seconds"])

    def anonymously(self, path: str) -> Door:
        """Return what the API server says to a request without any credential."""
        return _door(self.lens.look(Question("rbac.anonymous", path, {"path": path})))

    def kubelet(self, node: str, address: str) -> Door:
        """Return what a kubelet says to a request for its pods without any credential."""
        return _door(self.lens.look(_kubelet(node, address, _SECURE)))

    def open_kubelet(self, node: str, address: str) -> Door | None:
        """Return what a kubelet's port for everybody says; None where there is no such port."""
        answer = self.lens.look(_kubelet(node, address, _FOR_EVERYBODY))
        return None if answer.error is not None else _door(answer)


def pod(namespace: str) -> tuple[tuple[str, Any], ...]:
    """Return a pod that every pod security standard and any quota lets in."""
    limits = {"cpu": "10m", "memory": "16Mi"}
    container = {
        "name": "nothing",
        "image": "pause:3.10",
        "resources": {"requests": limits, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {"automountServiceAccountToken": False, "containers": [container]}
    return tuple((named("Pod", "v1", namespace) | {"spec": spec}).items())


def named(kind: str, version: str, namespace: str) -> dict[str, Any]:
    """Return an object of the suite's own name, to be sent as a dry run."""
    metadata = {"name": "aik-conformance-{run}", "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _kubelet(node: str, address: str, port: int) -> Question:
    return Question("rbac.kubelet", f"{node}:{port}", {"address": address, "port": port})


def _review(subject: Subject, action: Action) -> Question:
    names = subject.names
    user = next((name for kind, name in sorted(names) if kind == "User"), "")
    groups = sorted(name for kind, name in names if kind == "Group")
    asked = {"user": user, "groups": groups, **action.attributes}
    return Question("rbac.may", f"{subject} {action}", asked)


def _decision(answer: Answer) -> bool | UndecidedError:
    try:
        value = answer.value
    except UndecidedError as undecided:
        return undecided
    if not value["allowed"] and value.get("evaluationError"):
        said = value["evaluationError"]
        return UndecidedError(f"{answer.question.subject}: {said}", (answer.path,))
    return bool(value["allowed"])


def _door(answer: Answer) -> Door:
    value = answer.value
    return Door(value["status"], bool(value["by_api"]), str(value["said"]))
