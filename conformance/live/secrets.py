"""Probes of Secrets, and of secrets in other places: classes, lengths and digests leave, no value.

Digests are keyed by the run, so that equal values look equal and nobody can try
passwords on a report.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import yaml

from conformance.evidence import LookError
from conformance.kinds import KINDS
from conformance.live import kubernetes
from conformance.live.texts import found_in
from conformance.redaction import digest_key
from conformance.waiting import LIMITS
from conformance.weakness import is_secret_key, known_formats, placeholder, weak, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.live.reach import Reach

_PAGE = 50
_FORMED = re.compile(  # types whose values have a form of their own
    r"kubernetes\.io/tls|kubernetes\.io/service-account-token|bootstrap\.kubernetes\.io/token"
    r"|helm\.sh/release\.v1|istio\.io/.*|kubernetes\.io/ssh-auth"
)
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_HASH = re.compile(
    r"apiserver_encryption_config_controller_last_config_info\{.*\bhash=\"sha256:(\w+)"
)
_USER = re.compile(r"(?:^|[-_.])(?:user|username|login)$", re.IGNORECASE)


def survey(reach: Reach, namespace: str) -> list[dict[str, Any]]:
    """Return each Secret of a namespace, and of each value what may be said.

    Of a value that is its `key`, `length`, `digest`, whether it names a `user`, why it is
    nobody's secret (`fault`) and why it is weak (`weak`); empty where it is not.
    """
    return [_surveyed(one) for one in _listed(reach, "secrets", namespace)]


def exposures(reach: Reach, namespace: str, kind: str) -> dict[str, Any]:
    """Return what secrets stand in objects of a kind (`places`), and how many `objects` there are.

    Of Secrets only the annotations are read. Pods count that no controller made: the
    template of the others is in their controller.
    """
    objects = list(_listed(reach, kind, namespace))
    if kind == "pods":
        objects = [one for one in objects if not one["metadata"].get("ownerReferences")]
    places = [
        {
            "object": f"{KINDS[kind].kind} {namespace}/{one['metadata']['name']}",
            "place": place,
            "what": found.kind,
            "length": len(found.value),
            "fault": placeholder("password", found.value),
        }
        for one in objects
        for place, found in found_in(kind, one)
    ]
    return {"objects": len(objects), "places": places}


def encryption(reach: Reach, path: str) -> dict[str, Any]:
    """Return an EncryptionConfiguration without its keys, and the SHA-256 of the file."""
    _ = reach
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        said = f"the file cannot be read: {error.strerror}; run where it is, or mount it"
        raise LookError("no-credentials", said) from error
    try:
        found = yaml.safe_load(text)
        rules = [
            {
                "resources": [str(name) for name in one["resources"]],
                "providers": [_provider(provider) for provider in one["providers"]],
            }
            for one in found["resources"]
        ]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise LookError("malformed", "the file is no EncryptionConfiguration") from error
    return {"sha256": hashlib.sha256(text).hexdigest(), "rules": rules}


def running_encryption(reach: Reach) -> list[str]:
    """Return the SHA-256 of the configurations that API servers say they run with."""
    return sorted(set(_HASH.findall(kubernetes.text(reach, "/metrics"))))


def _provider(item: dict[str, Any]) -> str:
    """Return a provider's name; of an aesgcm without any key, say so."""
    name = next(iter(item))
    given = item[name]
    keyed = name in {"identity", "kms"} or bool((given or {}).get("keys"))
    return str(name) if keyed else f"{name} without keys"


def _listed(reach: Reach, kind: str, namespace: str) -> Iterator[dict[str, Any]]:
    """Yield all objects of a kind in a namespace; half a list raises."""
    path = KINDS[kind].path_of("", quote(namespace, ""))
    deadline = time.monotonic() + LIMITS.listing
    after, found = "", []
    while True:
        query = urlencode({"limit": _PAGE, **({"continue": after} if after else {})})
        page = kubernetes.request(reach, "GET", f"{path}?{query}", until=deadline)
        whole = isinstance(page, dict) and page.get("kind") == f"{KINDS[kind].kind}List"
        if not whole or not isinstance(page.get("items"), list):
            raise LookError("malformed", f"the API did not answer with a list of {kind}")
        found += page["items"]
        after = page["metadata"].get("continue") or ""
        if not after:
            break
    yield from found


def _surveyed(item: dict[str, Any]) -> dict[str, Any]:
    meta, kind = item["metadata"], str(item.get("type") or "Opaque")
    raw = {key: _bytes(one) for key, one in (item.get("data") or {}).items()}
    owners = [one for one in meta.get("ownerReferences") or () if one.get("controller")]
    marks = meta.get("annotations") or {}
    return {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "type": kind,
        "created": meta.get("creationTimestamp") or "",
        "owner": f"{owners[0]['kind']} {owners[0]['name']}" if owners else "",
        "account": str(marks.get("kubernetes.io/service-account.name") or ""),
        "entries": list(_entries(str(meta["name"]), kind, raw)),
    }


def _entries(name: str, kind: str, raw: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    users = {_text(one) for key, one in raw.items() if _USER.search(key)} - {None, ""}
    names = frozenset({name, *(one for one in users if one)})
    for key, value in sorted(raw.items()):
        text = _text(value)
        if key in {".dockerconfigjson", ".dockercfg"}:
            yield from _registry(key, text or "")
        elif _FORMED.fullmatch(kind) or text is None:
            yield _entry(key, value)
        elif "\n" in text.strip() or text.lstrip()[:1] in {"{", "["}:
            yield _entry(key, value)
            for one in within(text):
                fault = placeholder(one.key or "password", one.value, names)
                yield _entry(f"{key}: {one.key or one.kind}", one.value.encode(), fault)
        else:
            yield from _plain(key, text, names)


def _plain(key: str, text: str, names: frozenset[str]) -> Iterator[dict[str, Any]]:
    inner = [one for one in known_formats(text) if one.kind.startswith("a URI")]
    for one in inner:
        fault = placeholder("password", one.value, names)
        yield _entry(
            f"{key}: {one.kind}", one.value.encode(), fault, "" if fault else weak(one.value)
        )
    fault = placeholder(key, text, names)
    judged = is_secret_key(key) and not inner and not fault
    yield _entry(key, text.encode(), fault, weak(text.strip()) if judged else "")


def _registry(key: str, text: str) -> Iterator[dict[str, Any]]:
    """Yield the passwords of a registry's login; one without any is empty."""
    try:
        content = json.loads(text)
        logins = content.get("auths", content) if isinstance(content, dict) else {}
        pairs = [(host, one) for host, one in logins.items() if isinstance(one, dict)]
    except ValueError:
        pairs = []
    if not pairs:
        yield _entry(key, text.encode(), "an empty registry credential")
    for host, one in pairs:
        value = str(one.get("password") or "")
        if not value and one.get("auth"):
            value = (_text(_bytes(one["auth"])) or "").partition(":")[2]
        value = value or str(one.get("identitytoken") or "")
        fault = placeholder("password", value)
        fault = "an empty registry credential" if fault == "empty" else fault
        yield _entry(f"{key}: {host}", value.encode(), fault)


def _entry(key: str, value: bytes, fault: str = "", weakness: str = "") -> dict[str, Any]:
    digest = hmac.digest(digest_key(), value.strip(), hashlib.sha256).hex()[:16]
    secret = is_secret_key(key.partition(": ")[0]) or ": " in key
    return {
        "key": key,
        "length": len(value),
        "digest": digest,
        "user": bool(_USER.search(key)),
        "is_secret": secret,
        "fault": fault,
        "weak": weakness,
    }


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _late(verb: str) -> Callable[..., Any]:
    def probe(reach: Reach, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        from conformance.live import transformations

        return getattr(transformations, verb)(reach, **arguments)

    return probe


PROBES: dict[str, Callable[..., Any]] = {
    "survey": survey,
    "exposures": exposures,
    "encryption": encryption,
    "running_encryption": running_encryption,
    "transformed": _late("transformed"),
}
