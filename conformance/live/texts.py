"""Where in an API object a secret can stand, and which stands there."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from conformance.weakness import Found, is_literal, is_secret_key, known_formats, within

if TYPE_CHECKING:
    from collections.abc import Iterator

Place = tuple[str, Found]
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CODE = (".py", ".sh", ".bash", ".js", ".ts", ".lua", ".rb", ".pl", ".go", ".groovy", ".jq")
_SHELL = re.compile(r"\s|;|\||&&")
_OPTION = re.compile(r"--?([A-Za-z][\w.-]*)")


def found_in(kind: str, item: dict[str, Any]) -> Iterator[Place]:
    """Yield the places of an object where a secret stands, each with what was found there."""
    yield from _annotations(kind, item)
    if kind == "configmaps":
        yield from _config_map(item)
    elif kind != "secrets":
        spec = _pod_spec(kind, item)
        for one in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            for place, found in _container(one):
                yield f"container {one['name']}, {place}", found


def _pod_spec(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = item["spec"]
    if kind == "cronjobs":
        spec = spec["jobTemplate"]["spec"]
    return spec if kind == "pods" else spec["template"]["spec"]


def _annotations(kind: str, item: dict[str, Any]) -> Iterator[Place]:
    for key, value in (item["metadata"].get("annotations") or {}).items():
        if key != _APPLIED:
            found = known_formats(value)
            yield from ((f"annotation {key}", one) for one in found)
            if is_literal(key, value):
                yield f"annotation {key}", Found(key, "a setting", value)
        elif kind == "secrets":  # of other kinds it repeats what is judged where it stands
            for name, text in _applied(value):
                yield f"annotation {key}", Found(name, "a copy of the Secret's value", text)


def _applied(text: str) -> Iterator[tuple[str, str]]:
    try:
        content = json.loads(text)
    except ValueError:
        return
    for part in ("data", "stringData"):
        for key, value in (content.get(part) or {}).items():
            if isinstance(value, str) and value:
                yield key, value


def _config_map(item: dict[str, Any]) -> Iterator[Place]:
    for key, text in (item.get("data") or {}).items():
        if "\n" not in text.strip() and is_literal(key, text):
            yield f"key {key}", Found(key, "a setting", text.strip())
            continue
        for one in within(text, code=key.endswith(_CODE)):
            yield f"key {key}" + (f", {one.key}" if one.key else ""), one


def _container(item: dict[str, Any]) -> Iterator[Place]:
    for one in item.get("env") or ():
        value = one.get("value") or ""
        if is_literal(one["name"], value):
            yield f"variable {one['name']}", Found(one["name"], "a setting", value)
        else:
            yield from ((f"variable {one['name']}", found) for found in known_formats(value))
    for part in ("command", "args"):
        words = item.get(part) or []
        for word, after in pairwise((*words, "")):
            option = _OPTION.fullmatch(word)
            if option and is_secret_key(option[1]) and is_literal(option[1], after):
                yield f"{part}, {word}", Found(option[1], "an argument", after)
            else:
                script = bool(_SHELL.search(word))
                yield from ((part, found) for found in within(word, code=script))
