"""What is said to Redis, and what its answers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.evidence import Answer, Json, Question
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.platform import Redis
    from conformance.pods import Pod

Commands = tuple[tuple[str, ...], ...]

SETTINGS = (
    "appendonly",
    "appendfsync",
    "appenddirname",
    "appendfilename",
    "dir",
    "maxmemory",
    "maxmemory-policy",
    "masterauth",
)
REPLICATION: Commands = (("INFO", "replication"),)
STATUS: Commands = (
    *(("INFO", section) for section in ("server", "replication", "persistence", "memory")),
    *(("CONFIG", "GET", name) for name in SETTINGS),
    ("ACL", "LIST"),
)


@dataclass(frozen=True)
class Reply:
    """What a server said to one command: a value, or an error in its own words."""

    value: Json = None
    error: str = ""

    @property
    def code(self) -> str:
        """Return the error's first word (NOAUTH, READONLY, ...); empty for a value."""
        return self.error.partition(" ")[0]

    @property
    def tells_of_no_password(self) -> bool:
        """Say whether the error itself says that the server has no password at all."""
        return "without any password" in self.error or "no password is set" in self.error

    def __str__(self) -> str:
        """Return the words of an error, or the value, as findings show them."""
        return self.error or f"an answer, {self.value!r}"


@dataclass(frozen=True)
class Session:
    """One transcript. `auth` is neither value nor error where no password was sent."""

    route: str
    greeting: Reply
    auth: Reply
    replies: tuple[Reply, ...]
    path: str

    @classmethod
    def of(cls, answer: Answer) -> Session:
        """Read a transcript; raise UndecidedError where there is none."""
        return cls.read(answer.value, answer.path)

    @classmethod
    def read(cls, told: Json, path: str) -> Session:
        """Read a transcript from its JSON."""
        return cls(
            route=told["route"],
            greeting=Reply(**told["greeting"]),
            auth=Reply(**told["auth"] or {}),
            replies=tuple(Reply(**one) for one in told["replies"]),
            path=path,
        )

    @property
    def crossed(self) -> bool:
        """Say whether it went over the network, and not by a tunnel to the pod's loopback."""
        return self.route != "port-forward"

    def value(self, number: int) -> Json:
        """Return the value of a reply; raise UndecidedError with the words of an error."""
        reply = self.replies[number]
        if not reply.error:
            return reply.value
        refused = self.auth.code == "WRONGPASS"
        words = f"{self.auth}; give the suite the password in use" if refused else reply.error
        raise UndecidedError(f"Redis answers {words}", (self.path,))


@dataclass(frozen=True)
class Node:
    """One server: its pod, its INFO, and its settings (those that it told)."""

    pod: Pod
    info: dict[str, str]
    settings: dict[str, str]
    acl: tuple[str, ...] | None = None

    @property
    def ref(self) -> str:
        """Return the pod as `namespace/name`."""
        return self.pod.ref

    @property
    def is_master(self) -> bool:
        """Say whether the server says that it is a master."""
        return self.info["role"] == "master"

    @property
    def linked(self) -> bool:
        """Say whether a replica's link to its master is up."""
        return self.info.get("master_link_status") == "up"

    @property
    def history(self) -> str:
        """Return the replication id: a replica has that of its master."""
        return self.info.get("master_replid", "")

    @property
    def online(self) -> int:
        """Return how many replicas of a master are online, as it counts them."""
        slaves = (value for key, value in self.info.items() if key.removeprefix("slave").isdigit())
        return sum("state=online" in value.split(",") for value in slaves)

    def number(self, key: str) -> int:
        """Return a number from INFO; raise UndecidedError where it is missing or none."""
        try:
            return int(self.info[key])
        except (KeyError, ValueError):
            raise UndecidedError(f"{self.ref}: INFO has no number {key}") from None

    def __str__(self) -> str:
        """Return role and history, as findings show them."""
        told = f"{self.ref} is {self.info['role']} of {self.history[:8]}"
        return told if self.is_master else f"{told}, link {self.info.get('master_link_status')}"


def topology(nodes: Sequence[Node]) -> str:
    """Return the roles of nodes in one line."""
    return "; ".join(str(one) for one in nodes)


def question(
    redis: Redis,
    pod: Pod,
    commands: Commands,
    auth: str = "right",
    danger: str = "read-only",
    attempt: int = 0,
) -> Question:
    """Return the question that sends commands to a pod's Redis over one connection."""
    arguments = {
        "server": {"pod": address(pod), "port": redis.port},
        "credential": redis.credential,
        "auth": auth,
        "danger": danger,
        "commands": [list(words) for words in commands],
    }
    subject = f"{pod.ref} {commands[0][0]} {commands[0][-1]}" if commands else pod.ref
    return Question("redis.session", subject, arguments, attempt=attempt)


def address(pod: Pod) -> dict[str, str]:
    """Return how a pod is dialled: its namespace, name and IP (empty where it has none)."""
    return {"namespace": pod.namespace, "name": pod.name, "ip": pod.ip}


def info_of(text: str) -> dict[str, str]:
    """Return the lines `key:value` of an answer to INFO."""
    lines = (line.partition(":") for line in text.splitlines())
    return {key: value for key, colon, value in lines if colon}


def node_of(pod: Pod, commands: Commands, session: Session) -> Node:
    """Return what a server says of itself in answer to `REPLICATION` or `STATUS`.

    Raises:
        UndecidedError: where INFO is refused, or is not that of a Redis.
    """
    info: dict[str, str] = {}
    settings: dict[str, str] = {}
    acl = None
    for number, words in enumerate(commands):
        if words[0] == "INFO":
            info |= info_of(session.value(number))
        elif not session.replies[number].error:  # CONFIG and ACL may be renamed or denied
            value = session.value(number)
            if words[0] == "ACL":
                acl = tuple(value)
            else:
                settings |= dict(zip(value[::2], value[1::2], strict=True))
    if "role" not in info:
        raise UndecidedError("what answers does not describe itself as Redis", (session.path,))
    return Node(pod, info, settings, acl)


def passwordless_users(acl: Sequence[str]) -> list[str]:
    """Return the users of ACL LIST who are on, need no password and may do something."""
    users = (line.split() for line in acl)
    return [
        words[1]
        for words in users
        if {"on", "nopass"} <= set(words) and any(word.startswith("+") for word in words)
    ]
