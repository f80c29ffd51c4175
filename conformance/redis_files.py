"""Where a Redis keeps its append-only file: the volume, and the files in the container."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from conformance.evidence import Question
from conformance.pods import Role
from conformance.quantity import quantity
from conformance.redis_transcript import Session, info_of, question
from conformance.verdict import UndecidedError
from conformance.waiting import LIMITS, wait_until

if TYPE_CHECKING:
    from conformance.evidence import Answer, Lens
    from conformance.platform import Platform, Redis
    from conformance.pods import Container, Pod
    from conformance.redis_transcript import Node

_LINE = re.compile(r"-\S+ +\d+ +\S+ +\S+ +(?P<size>\d+) .*?(?P<name>[^ /]+\.aof)")
_NO_SUCH_PROGRAM = (126, 127)
CLAIM = "persistentVolumeClaim"
ACCOUNT = "aof_current_size"


@dataclass(frozen=True)
class RedisFiles:
    """Looks at the files of a Redis with `ls` in its container."""

    lens: Lens
    platform: Platform

    def container(self, redis: Redis, pod: Pod) -> Container:
        """Return the container that runs Redis: the declared one, or the one with its port."""
        main = [one for one in pod.containers if one.role is Role.MAIN]
        name = self.platform.workload(redis.workload).container
        found = [one for one in main if one.name == name] or [
            one
            for one in main
            if redis.port in [port["containerPort"] for port in one.spec.get("ports") or ()]
        ]
        if not found and len(main) != 1:
            raise UndecidedError(f"which container of {pod.ref} runs Redis is not declared")
        return (found or main)[0]

    def sizes(self, redis: Redis, node: Node) -> dict[str, int]:
        """Return the bytes of each append-only file, as `ls` shows them.

        Where the container has no `ls`, the server's own account stands for them.
        """
        listed = self.lens.look(self._listing(redis, node))
        if _without_program(listed):
            return _accounted(self.lens.look(self._account(redis, node)))
        return _listed(listed)

    def growth(self, redis: Redis, node: Node, before: dict[str, int]) -> str:
        """Return which file is longer than before, or new, once there is one; empty where none.

        A rewrite in between begins new files. What was written until then is in the new
        base, and what is written later in a file that is new: either way it is kept.
        """
        listing = ACCOUNT not in before
        ask = self._listing(redis, node) if listing else self._account(redis, node)
        read = _listed if listing else _accounted

        def grown(answer: Answer) -> str:
            after = read(answer)
            longer = (name for name, size in after.items() if size > before.get(name, -1))
            return next((f"{one}: {before.get(one, 0)} to {after[one]}" for one in longer), "")

        def has_grown(answer: Answer) -> bool:
            return answer.error is not None or grown(answer) != ""

        later = replace(ask, attempt=1)
        return grown(wait_until(self.lens, later, has_grown, limit=LIMITS.replication))

    def _listing(self, redis: Redis, node: Node) -> Question:
        arguments = {
            "namespace": node.pod.namespace,
            "pod": node.pod.name,
            "container": self.container(redis, node.pod).name,
            "command": ["ls", "-ln", *map(str, self._places(redis, node))],
        }
        return Question("streams.exec", f"{node.ref} append-only files", arguments)

    def _account(self, redis: Redis, node: Node) -> Question:
        return question(redis, node.pod, (("INFO", "persistence"),))

    def _places(self, redis: Redis, node: Node) -> list[PurePosixPath]:
        """Return where the files may be: since Redis 7 a directory, before it one file.

        Where `dir` is not told, they are looked for on every claim that is mounted.
        """
        mounts = self.container(redis, node.pod).spec.get("volumeMounts") or ()
        claims = (one["mountPath"] for one in mounts if _kind(node.pod, one["name"]) == CLAIM)
        folders = [node.settings["dir"]] if "dir" in node.settings else sorted(claims)
        if not folders:
            raise UndecidedError(f"{node.ref} neither tells its `dir` nor mounts a claim")
        names = (
            node.settings.get("appenddirname", "appendonlydir"),
            node.settings.get("appendfilename", "appendonly.aof"),
        )
        return [PurePosixPath(folder) / name for folder in folders for name in names]

    def volume(self, redis: Redis, node: Node) -> str:
        """Return the kind of volume below the files, or `the container`. Needs to know `dir`."""
        settings = node.settings
        place = PurePosixPath(settings["dir"]) / settings.get("appenddirname", "")
        mounts = self.container(redis, node.pod).spec.get("volumeMounts") or ()
        found = [one for one in mounts if place.is_relative_to(PurePosixPath(one["mountPath"]))]
        if not found:
            return "the container"
        deepest = max(found, key=lambda one: len(PurePosixPath(one["mountPath"]).parts))
        return _kind(node.pod, deepest["name"])

    def memory_limit(self, redis: Redis, pod: Pod) -> int | None:
        """Return the bytes that Redis's container may use, None where nothing limits it.

        What is in force comes first (a resize changes it), then what the container
        asks for, then what its whole pod does.
        """
        container = self.container(redis, pod)
        for place in (container.status, container.spec, pod.item["spec"]):
            limit = ((place.get("resources") or {}).get("limits") or {}).get("memory")
            if limit is not None:
                return int(quantity(str(limit)))
        return None


def _kind(pod: Pod, name: str) -> str:
    volumes = pod.item["spec"].get("volumes") or ()
    kinds = (sorted(set(one) - {"name"}) for one in volumes if one["name"] == name)
    return ", ".join(next(kinds, ["an unknown volume"]))


def _without_program(answer: Answer) -> bool:
    told = answer.value
    return told["code"] in _NO_SUCH_PROGRAM or "executable file not found" in told["failure"]


def _listed(answer: Answer) -> dict[str, int]:
    """Return the files that were listed; none is an answer, where nothing hindered the look."""
    told = answer.value
    lines = (_LINE.fullmatch(line) for line in told["stdout"].splitlines())
    found = {line["name"]: int(line["size"]) for line in lines if line}
    complaints = [one for one in told["stderr"].splitlines() if "No such file" not in one]
    if not found and (complaints or told["code"] is None):
        words = "; ".join(complaints) or told["failure"]
        raise UndecidedError(f"{answer.question.subject}: ls says {words}", (answer.path,))
    return found


def _accounted(answer: Answer) -> dict[str, int]:
    info = info_of(Session.of(answer).value(0))
    if ACCOUNT not in info:
        raise UndecidedError(f"{answer.question.subject}: INFO has no {ACCOUNT}", (answer.path,))
    return {ACCOUNT: int(info[ACCOUNT])}
