"""PostgreSQL as it answers: which servers there are, who they are, what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from conformance.cluster import Cluster, Object, ref
from conformance.evidence import Question
from conformance.postgres_roster import Member, Roster, member_of
from conformance.postgres_session import Session, Target, session_of
from conformance.verdict import UndecidedError
from conformance.waiting import LIMITS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.evidence import Answer, Lens
    from conformance.platform import Platform
    from conformance.products import Postgres

_FACTS = (
    "SELECT (pg_control_system()).system_identifier::text, "
    "(pg_control_checkpoint()).timeline_id, current_setting('hot_standby')"
)
_PLURALS = {
    "StatefulSet": "statefulsets",
    "Deployment": "deployments",
    "DaemonSet": "daemonsets",
}


@dataclass(frozen=True)
class Servers:
    """Asks the servers of the declared PostgreSQL."""

    lens: Lens
    cluster: Cluster
    platform: Platform
    _waited: set[int] = field(default_factory=set)

    @cached_property
    def declared(self) -> Postgres:
        """Return the declared PostgreSQL."""
        if self.platform.postgres is None:
            raise UndecidedError("the platform section declares no PostgreSQL")
        return self.platform.postgres

    @property
    def namespace(self) -> str:
        """Return the namespace of the database."""
        return self.platform.workload(self.declared.workload).namespace

    @property
    def workload(self) -> Object | None:
        """Return the declared workload as it is; None where there is none."""
        declared = self.platform.workload(self.declared.workload)
        return self.cluster.find(_PLURALS[declared.kind], declared.ref)

    def service(self, name: str) -> Target:
        """Return a Service of the database as a target."""
        return Target.service(self.namespace, name)

    def pods(self) -> tuple[Object, ...]:
        """Return the pods of the declared workload that are meant to run.

        Where there is no such workload (an operator may run the pods itself), they
        are those behind the declared Services.
        """
        declared = self.platform.workload(self.declared.workload)
        pods = self.cluster.within("pods", declared.namespace)
        alive = [
            one
            for one in pods
            if not one["metadata"].get("deletionTimestamp")
            and (one.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}
        ]
        found = self.workload
        owners = {found["metadata"]["uid"]} if found else set()
        if owners and declared.kind == "Deployment":
            sets = self.cluster.within("replicasets", declared.namespace)
            owners |= {one["metadata"]["uid"] for one in sets if owners & _owners(one)}
        behind = () if owners else self.behind(self.declared.primary_service)
        behind = behind if owners else (*behind, *self.behind(self.declared.replica_service))
        return tuple(one for one in alive if owners & _owners(one) or ref(one) in behind)

    def behind(self, service: str) -> tuple[str, ...]:
        """Return the pods that a Service of the database's namespace has as ready endpoints.

        By their names, or by their addresses where the endpoints name no pods.
        """
        namespace = self.namespace
        names = {
            (one.get("status") or {}).get("podIP"): ref(one)
            for one in self.cluster.within("pods", namespace)
        }
        found: list[str] = []
        for part in self.cluster.within("endpointslices", namespace):
            carried = part["metadata"].get("labels") or {}
            if carried.get("kubernetes.io/service-name") != service:
                continue
            for one in part.get("endpoints") or ():
                if (one.get("conditions") or {}).get("ready") is False:
                    continue
                target = one.get("targetRef") or {}
                named = f"{namespace}/{target['name']}" if target.get("kind") == "Pod" else ""
                found += [named or names.get(address, address) for address in one["addresses"][:1]]
        return tuple(dict.fromkeys(found))

    def roster(self) -> Roster:
        """Return who is primary and who replica, looking again while roles change hands.

        Every call looks, so that each case rests on evidence of its own; only what was
        not looked at before takes time.
        """
        pods = self.pods()
        missing = self._missing(len(pods))
        attempt = 0
        answers = self._ask_facts(pods, attempt)
        began = min((one.time for one in answers), default=None)
        while True:
            roster = Roster((*map(member_of, pods, answers), *missing))
            if roster.settled or began is None:
                return roster
            if (max(one.time for one in answers) - began).total_seconds() >= LIMITS.failover:
                return roster
            attempt += 1
            if attempt not in self._waited:
                self.lens.pause(5)
                self._waited.add(attempt)
            answers = self._ask_facts(pods, attempt)
            if min(one.time for one in answers) <= began:  # a replay that has no further look
                return roster

    def _missing(self, found: int) -> tuple[Member, ...]:
        """Return a silent member for each declared server that has no pod."""
        declared = self.platform.workload(self.declared.workload)
        reason = (
            f"{found} of {declared.replicas} declared servers have a pod; blocked by PLT-WL-002"
        )
        numbers = range(found + 1, (declared.replicas or 1) + 1)
        names = (Target(f"{declared.ref} (server {one})", {}) for one in numbers)
        return tuple(Member(one, {"spec": {}}, None, reason) for one in names)

    def _ask_facts(self, pods: tuple[Object, ...], attempt: int) -> tuple[Answer, ...]:
        def asked(login: str) -> tuple[Answer, ...]:
            return self.lens.look_all(
                self.question(Target.pod(one), [_FACTS], login=login, attempt=attempt)
                for one in pods
            )

        answers = asked(self.declared.monitoring)
        if any(one.kind == "no-credentials" for one in answers):
            return asked(self.declared.application)  # these facts are open to any role
        return answers

    def question(
        self,
        target: Target,
        statements: Iterable[str],
        *,
        login: str = "",
        mode: str = "read-only",
        proof: str = "right",
        attempt: int = 0,
    ) -> Question:
        """Return the question that a session with these statements answers."""
        arguments = {**self.way(login), "target": target.way, "statements": list(statements)}
        arguments |= {"mode": mode, "proof": proof}
        return Question("postgres.session", target.ref, arguments, attempt=attempt)

    def way(self, login: str = "") -> dict[str, Any]:
        """Return port, login (default: the monitoring role) and database of any probe."""
        one = self.declared
        return {"port": one.port, "login": login or one.monitoring, "database": one.database}

    def ask(
        self, member: Member, *statements: str, login: str = "", mode: str = "read-only"
    ) -> Session:
        """Run statements in a session of their own; no session is undecided."""
        if member.session is None:
            raise UndecidedError(member.reason)
        question = self.question(member.target, statements, login=login, mode=mode)
        return session_of(member.target, self.lens.look(question)).open

    def ask_until(
        self, member: Member, condition: Callable[[Session], bool], *statements: str, limit: float
    ) -> Session:
        """Ask as `ask` until `condition` holds or `limit` seconds have passed."""
        if member.session is None:
            raise UndecidedError(member.reason)

        def met(answer: Answer) -> bool:
            return not answer.error and condition(session_of(member.target, answer).open)

        question = self.question(member.target, statements)
        answer = wait_until(self.lens, question, met, limit=limit, interval=3)
        return session_of(member.target, answer).open

    def login(self, member: Member, proof: str) -> Session:
        """Log in as the application with a `right`, `wrong` or no proof, or as a `stranger`."""
        if member.session is None:
            raise UndecidedError(member.reason)
        question = self.question(member.target, [], login=self.declared.application, proof=proof)
        return session_of(member.target, self.lens.look(question))


def _owners(item: Object) -> set[str]:
    return {one["uid"] for one in item["metadata"].get("ownerReferences") or ()}
