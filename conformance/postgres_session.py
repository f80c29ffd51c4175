"""What a session with a PostgreSQL server brought, as the probes wrote it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.cluster import Object, ref
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from conformance.evidence import Answer

Row = list[Any]
_SERVER = ("in_recovery", "started")


@dataclass(frozen=True)
class Target:
    """Something to connect to: a pod, or a Service."""

    ref: str
    way: dict[str, Any]

    @classmethod
    def pod(cls, item: Object) -> Target:
        """Return a pod as a target; the address is None before it has one."""
        meta = item["metadata"]
        address = (item.get("status") or {}).get("podIP")
        pod = {"namespace": meta["namespace"], "name": meta["name"], "ip": address}
        return cls(ref(item), {"pod": pod})

    @classmethod
    def service(cls, namespace: str, name: str) -> Target:
        """Return a Service as a target."""
        return cls(f"{namespace}/{name}", {"service": f"{namespace}/{name}"})


@dataclass(frozen=True)
class Result:
    """What a statement gave: rows and a count, or an error of the server."""

    statement: str
    rows: tuple[Row, ...] = ()
    command: str = ""
    count: int | None = None
    error: dict[str, str | None] | None = None

    @property
    def sqlstate(self) -> str | None:
        """Return the SQLSTATE of the error; None where there is none."""
        return self.error["sqlstate"] if self.error else None

    @property
    def raised(self) -> bool:
        """Say whether the error was raised by a function, such as a trigger's."""
        return bool(self.error) and "at RAISE" in ((self.error or {})["context"] or "")

    @property
    def told(self) -> str:
        """Return the result in words."""
        if self.error is None:
            return f"{self.command} {'' if self.count is None else self.count}".strip()
        return f"SQLSTATE {self.error['sqlstate']}: {self.error['message']}"

    @property
    def table(self) -> tuple[Row, ...]:
        """Return the rows; raise `UndecidedError` with the server's words where it refused."""
        if self.error is not None:
            start = " ".join(self.statement.split())[:80]
            raise UndecidedError(f"the server refused `{start}`: {self.told}")
        return self.rows


@dataclass(frozen=True)
class Session:
    """One session. `refused` is the server's answer to a login that it did not take.

    `asked` is the method by which the client had to prove itself; `nothing`: none.
    `in_recovery` and `started` are None where the login was refused.
    """

    target: Target
    route: str
    asked: str | None
    refused: dict[str, str | None] | None
    in_recovery: bool | None
    started: int | None
    results: tuple[Result, ...]

    @property
    def crosses_network(self) -> bool:
        """Say whether the route is one that a client of the platform could take."""
        return self.route != "port-forward"

    @property
    def open(self) -> Session:
        """Return the session itself; raise `UndecidedError` where the login was refused."""
        if self.refused is not None:
            raise UndecidedError(
                f"{self.target.ref} refused the login: {self.refused['message']}; "
                "see the credentials of the platform section"
            )
        return self

    @property
    def identity(self) -> str:
        """Return the login's outcome in words."""
        if self.refused is not None:
            return f"refused: SQLSTATE {self.refused['sqlstate']}: {self.refused['message']}"
        return f"accepted, proof asked for: {self.asked}"


def session_of(target: Target, answer: Answer) -> Session:
    """Return the session that an answer to `Servers.question` holds."""
    value = answer.value
    refused = value["refused"]
    server = value["server"] if refused is None else dict.fromkeys(_SERVER)
    statements = answer.question.arguments["statements"] if refused is None else ()
    results = zip(statements, value["results"], strict=True)
    return Session(
        target=target,
        route=value["route"],
        asked=value["asked"],
        refused=refused,
        **{key: server[key] for key in _SERVER},
        results=tuple(
            Result(statement, error=one["error"])
            if "error" in one
            else Result(statement, tuple(one["rows"]), one["command"], one["count"])
            for statement, one in results
        ),
    )
