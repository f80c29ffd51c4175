"""Secrets by what may be said of them, secrets in wrong places, and how Secrets rest.

No value comes this far: only classes, lengths and digests that tell equal from
different within one run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from conformance.evidence import Question
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.evidence import Json, Lens
    from conformance.platform import Platform

TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a type's name
REGISTRY = "an empty registry credential"
PLACES = ("configmaps", "statefulsets", "deployments", "daemonsets", "cronjobs", "jobs", "pods")
_COMMON = re.compile(r"[-_. ]?(passw(or)?d|passwd|pass|pwd|secret|token|key)$", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One value: its `key`, `length` in bytes, `digest`, and what is wrong with it.

    `fault` says why it is nobody's secret (a placeholder, a default), `weak` why it can
    be guessed; empty where it is not so. `user`: it is a user's name.
    """

    key: str
    length: int
    digest: str
    user: bool
    is_secret: bool
    fault: str
    weak: str


@dataclass(frozen=True)
class Secret:
    """A Secret. `owner` is the controller that keeps it, empty for none."""

    namespace: str
    name: str
    type: str
    created: str
    owner: str
    account: str
    entries: tuple[Entry, ...]

    @property
    def ref(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def is_token(self) -> bool:
        """Say whether it holds a ServiceAccount's token that never ends."""
        return self.type == TOKEN

    @property
    def users(self) -> frozenset[str]:
        """Return the digests of the users' names in it."""
        return frozenset(one.digest for one in self.entries if one.user)


@dataclass(frozen=True)
class Exposure:
    """A secret in a place where none belongs; `fault` as of an Entry."""

    object: str
    place: str
    what: str
    length: int
    fault: str

    def __str__(self) -> str:
        """Return where it is and what, without the value."""
        return f"{self.place}: {self.what} ({self.length} characters)"


@dataclass(frozen=True)
class Scan:
    """What was found in all `objects` of a kind in a namespace."""

    objects: int
    exposures: tuple[Exposure, ...]


@dataclass(frozen=True)
class Encryption:
    """An EncryptionConfiguration: the providers of each group of resources, first to last."""

    sha256: str
    rules: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    @property
    def of_secrets(self) -> tuple[str, ...]:
        """Return the providers for Secrets; none where Secrets are stored as they are.

        The first rule that names them decides, as in the API server.
        """
        for resources, providers in self.rules:
            if {"secrets", "*.", "*.*"} & set(resources):
                return providers
        return ()


@dataclass(frozen=True)
class Counts:
    """What an API server had written when asked: transformed values by prefix, Secrets created."""

    server: str
    writes: dict[tuple[str, str], int]
    posts: int

    def encrypted_since(self, before: Counts) -> int:
        """Return how many Secrets were encrypted since; of an old server, how many objects."""
        return sum(
            count - before.writes.get((prefix, resource), 0)
            for (prefix, resource), count in self.writes.items()
            if prefix.startswith("k8s:enc:") and resource in {"", "secrets"}
        )

    @property
    def tells_resources(self) -> bool:
        """Say whether its counters tell Secrets from other objects."""
        return all(resource for _, resource in self.writes)


@dataclass(frozen=True)
class Stored:
    """How Secrets stand in etcd, by `namespace/name`; `ours` as the probe says."""

    ours: bool | None
    forms: dict[str, str]

    @property
    def plain(self) -> list[str]:
        """Return the Secrets that are not encrypted."""
        return sorted(name for name, form in self.forms.items() if form in {"plain", "unknown"})


@dataclass(frozen=True)
class Secrets:
    """Asks about Secrets. Raises `UndecidedError` where there is no answer."""

    lens: Lens
    platform: Platform

    def within(self, namespace: str) -> tuple[Secret, ...]:
        """Return the Secrets of a namespace."""
        asked = Question("secrets.survey", namespace, {"namespace": namespace})
        return tuple(
            Secret(**{**one, "entries": tuple(Entry(**entry) for entry in one["entries"])})
            for one in self.lens.look(asked).value
        )

    def scan(self, namespace: str, kind: str) -> Scan:
        """Return what secrets stand in the objects of a kind."""
        asked = {"namespace": namespace, "kind": kind}
        value = self.lens.look(Question("secrets.exposures", f"{namespace} {kind}", asked)).value
        return Scan(int(value["objects"]), tuple(Exposure(**one) for one in value["places"]))

    def unreadable(self, namespace: str) -> str:
        """Return why the Secrets of a namespace may not be read; empty where they may."""
        asked = {"namespace": namespace, "kind": "secrets"}
        answer = self.lens.look(Question("secrets.exposures", f"{namespace} secrets", asked))
        return answer.reason if answer.kind == "forbidden" else ""

    def preload(self, namespaces: Iterable[str], kinds: Iterable[str] = ()) -> None:
        """Look at several namespaces side by side, before they are asked for one by one."""
        chosen = tuple(kinds)
        self.lens.look_all(
            Question("secrets.exposures", f"{one} {kind}", {"namespace": one, "kind": kind})
            for one in namespaces
            for kind in chosen
        )

    @property
    def encryption(self) -> Encryption:
        """Return the configuration that the platform section names."""
        path = self.platform.rest.config
        value = self.lens.look(Question("secrets.encryption", str(path), {"path": path})).value
        rules = ((tuple(one["resources"]), tuple(one["providers"])) for one in value["rules"])
        return Encryption(str(value["sha256"]), tuple(rules))

    @property
    def running_encryption(self) -> frozenset[str] | None:
        """Return the SHA-256 of what API servers run with; None where none says."""
        answer = self.lens.look(Question("secrets.running_encryption", "api-server"))
        return frozenset(answer.value) or None

    @property
    def transformed(self) -> tuple[Counts, Counts, Counts]:
        """Write canaries; return the counts before, after a ConfigMap, and after a Secret."""
        asked = {"namespace": "aik-conformance", "name": "aik-conformance-{run}-rest"}
        value = self.lens.look(Question("secrets.transformed", "canary", asked)).value
        before, control, after = (_counts(value[key]) for key in ("before", "control", "after"))
        return before, control, after

    @property
    def stored(self) -> Stored:
        """Return how Secrets stand in the etcd that the platform section names."""
        rest = self.platform.rest
        asked = {
            "address": rest.etcd,
            "certificate": rest.certificate,
            "key": rest.key,
            "authority": rest.authority,
            "prefix": rest.prefix,
        }
        value = self.lens.look(Question("etcd.secrets", str(rest.etcd), asked)).value
        return Stored(value["ours"], {one["name"]: str(one["form"]) for one in value["secrets"]})


def shared(secrets: Iterable[Secret]) -> Iterator[tuple[str, str, str, int]]:
    """Yield pairs of values that are equal and meant for different roles, with digest and length.

    The same key of a Secret of the same name in another namespace is one credential,
    handed out; so is one beside the same user's name; `password` beside
    `postgres-password` in one Secret is another spelling.
    """
    by_digest: dict[str, list[tuple[Secret, Entry]]] = {}
    for secret in secrets:
        for entry in secret.entries:
            if entry.is_secret and entry.length and not entry.fault:
                by_digest.setdefault(entry.digest, []).append((secret, entry))
    for digest, found in by_digest.items():
        for (one, left), (other, right) in combinations(found, 2):
            if not _same_role(one, left, other, right):
                names = (f"{one.ref}/{left.key}", f"{other.ref}/{right.key}")
                yield *names, digest[:8], left.length


def _same_role(one: Secret, left: Entry, other: Secret, right: Entry) -> bool:
    if one is other:
        words = sorted((_role(left.key), _role(right.key)), key=len)
        return words[1].endswith(words[0])
    if one.name == other.name:
        return left.key == right.key
    return bool(one.users & other.users)


def _role(key: str) -> str:
    return re.sub(r"[-_. ]", "", _COMMON.sub("", key.partition(": ")[0])).lower()


def _counts(value: Json) -> Counts:
    writes: dict[tuple[str, str], int] = {}
    for one in value["writes"]:
        key = str(one["prefix"]), str(one["resource"])
        writes[key] = writes.get(key, 0) + int(one["count"])
    return Counts(str(value["server"]), writes, int(value["posts"]))


def flags(pod: Json, name: str) -> list[str]:
    """Return the values of a command-line flag in a pod; raise UndecidedError of a strange pod."""
    found = []
    for one in pod["spec"]["containers"]:
        words = [*(one.get("command") or ()), *(one.get("args") or ())]
        for word, after in pairwise((*words, "")):
            key, equals, value = str(word).partition("=")
            if key.lstrip("-") == name:
                found.append(value if equals else str(after))
    if not pod["spec"]["containers"]:
        raise UndecidedError("the pod has no containers")
    return found
