"""Logging in with what Secrets hold now, from where a password is really asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.postgres_access import turned_away
from conformance.postgres_session import Target, session_of
from conformance.redis_transcript import Session, question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.evidence import Lens
    from conformance.platform import Platform
    from conformance.postgres import Servers
    from conformance.redis import RedisNodes

_NOW = "secret:"  # read the Secret, whatever environment and files say


@dataclass(frozen=True)
class Login:
    """What came of the right and of a wrong password at one server.

    `taken` and `refused` are None where the server said something else, in `told`.
    `crossed`: it was asked over the network.
    """

    server: str
    taken: bool | None
    refused: bool | None
    crossed: bool
    told: str


@dataclass(frozen=True)
class Logins:
    """Logs in to products."""

    lens: Lens
    platform: Platform
    servers: Servers
    redis_nodes: RedisNodes

    def asks(self, credential: str) -> bool:
        """Say whether it is known how to log in with a credential."""
        return credential in {*self._of_postgres, *self._of_redis}

    def with_secret(self, credential: str) -> Iterator[Login]:
        """Yield what came of it at each server of the product."""
        if credential in self._of_redis:
            yield from self._redis(credential)
        else:
            yield from self._postgres(credential)

    @property
    def _of_postgres(self) -> tuple[str, ...]:
        one = self.platform.postgres
        return (one.application, one.monitoring) if one else ()

    @property
    def _of_redis(self) -> tuple[str, ...]:
        one = self.platform.redis
        return tuple(filter(None, (one.credential, one.sentinel))) if one else ()

    def _postgres(self, credential: str) -> Iterator[Login]:
        for pod in self.servers.pods():
            target = Target.pod(pod)
            right, wrong = (
                session_of(target, answer)
                for answer in self.lens.look_all(
                    self.servers.question(target, [], login=_NOW + credential, proof=proof)
                    for proof in ("right", "wrong")
                )
            )
            away = turned_away(right)
            taken = None if away is None else not away
            yield Login(
                target.ref, taken, turned_away(wrong), right.crosses_network, right.identity
            )

    def _redis(self, credential: str) -> Iterator[Login]:
        declared = self.platform.redis
        if declared is None:
            return
        port = declared.sentinel_port if credential == declared.sentinel else declared.port
        asked = replace(declared, credential=_NOW + credential, port=port)
        for pod in self.redis_nodes.pods(declared):
            ask = [question(asked, pod, (("PING",),), auth) for auth in ("right", "wrong")]
            right, wrong = (Session.of(one) for one in self.lens.look_all(ask))
            taken = right.replies[0].value == "PONG" and not right.auth.error
            known = taken or right.auth.code == "WRONGPASS"
            refused = wrong.auth.code == "WRONGPASS"
            told = str(right.auth if right.auth.error else right.replies[0])
            yield Login(pod.ref, taken if known else None, refused, right.crossed, told)
