"""Ways from the runner to a port of a pod or of a Service.

`pod-network`: the address itself is dialled, and policies and meshes see the
runner. `port-forward`: a listener on this machine, every connection to it a
tunnel of its own, which lands on the pod's loopback behind all of them.
`address`: what the platform section gives for `namespace/name:port`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.evidence import LookError
from conformance.live import kubernetes
from conformance.live.configuration import in_cluster
from conformance.live.streams import Tunnel
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.live.reach import Reach

POD_NETWORK, PORT_FORWARD, ADDRESS = "pod-network", "port-forward", "address"


class Door(NamedTuple):
    """Where to connect, and the route on which that is."""

    host: str
    port: int
    route: str


@contextmanager
def dial(
    reach: Reach, pod: dict[str, Any], port: int, limit: float = LIMITS.probe, route: str = ""
) -> Iterator[Door]:
    """Yield where to connect for a port of a pod, given by `name`, `namespace` and `ip`.

    `limit` is how long tunnels may live, in seconds; `route` is taken in the place of
    the run's own. Several connections may be made, also from several threads.

    Raises:
        LookError: `unreachable` where the pod has no address, or, when the block
            ends, where a tunnel found nothing behind the port; it then replaces
            what the block itself raised, which only saw a reset.
    """
    given = _given(reach, f"{pod['namespace']}/{pod['name']}", port)
    if given is not None and not route:
        yield given
    elif (route or reach.pod_route) == POD_NETWORK:
        if not pod.get("ip"):
            raise LookError("unreachable", f"{pod['namespace']}/{pod['name']} has no address")
        yield Door(pod["ip"], port, POD_NETWORK)
    else:
        with _Tunnels.open(reach, pod, port, limit) as tunnels:
            yield Door("127.0.0.1", tunnels.port, PORT_FORWARD)


@contextmanager
def dial_service(reach: Reach, service: str, port: int) -> Iterator[Door]:
    """Yield where to connect for a port of the Service called `namespace/name`.

    Raises:
        LookError: `no-route` where this runner cannot get through the Service,
            `not-found` where there is none.
    """
    given = _given(reach, service, port)
    if given is not None:
        yield given
        return
    if reach.pod_route != POD_NETWORK:
        raise LookError(
            "no-route",
            f"a port-forward goes to a pod, not through the Service {service}: run the suite "
            "in the cluster, on a machine that routes to it, or give platform.addresses",
        )
    namespace, _, name = service.partition("/")
    address = kubernetes.get(reach, "services", name, namespace)["spec"].get("clusterIP")
    if address and address != "None":
        yield Door(address, port, POD_NETWORK)
    elif in_cluster():
        domain = reach.platform.cluster.domain
        yield Door(f"{name}.{namespace}.svc.{domain}", port, POD_NETWORK)
    else:
        raise LookError("no-route", f"the headless Service {service} has no address: dial its pods")


def _given(reach: Reach, name: str, port: int) -> Door | None:
    address = reach.platform.addresses.get(f"{name}:{port}")
    if address is None:
        return None
    host, _, number = address.rpartition(":")
    return Door(host.strip("[]"), int(number), ADDRESS)


@dataclass
class _Tunnels:
    """A listener on this machine; each connection to it gets a fresh tunnel."""

    reach: Reach
    pod: dict[str, Any]
    far_port: int
    deadline: float
    listener: socket.socket
    _stop: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _threads: list[threading.Thread] = field(default_factory=list)
    _refusals: list[LookError] = field(default_factory=list)

    @classmethod
    @contextmanager
    def open(cls, reach: Reach, pod: dict[str, Any], port: int, limit: float) -> Iterator[_Tunnels]:
        listener = socket.create_server(("127.0.0.1", 0))
        tunnels = cls(reach, pod, port, time.monotonic() + limit, listener)
        tunnels._start(tunnels._accept)
        try:
            yield tunnels
        except Exception as error:
            tunnels._close()
            if tunnels._refusals:
                raise tunnels._refusals[0] from error
            raise
        else:
            tunnels._close()
            if tunnels._refusals:
                raise tunnels._refusals[0]
        finally:
            tunnels._close()

    @property
    def port(self) -> int:
        number: int = self.listener.getsockname()[1]
        return number

    def _start(self, work: Any, *arguments: Any) -> None:  # noqa: ANN401 - a thread's work
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:  # closed: no more connections are wanted
                return
            self._start(self._carry, near)

    def _carry(self, near: socket.socket) -> None:
        tunnel = Tunnel(
            self.reach, self.pod["namespace"], self.pod["name"], self.far_port, self.deadline
        )
        try:
            tunnel.carry(near, self._stop[1])
        except LookError as error:
            if not tunnel.received:  # later, the client sees for itself that its stream broke
                self._refusals.append(error)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the accept that is under way
        self.listener.close()
        self._stop[0].close()
        for thread in tuple(self._threads):
            thread.join(LIMITS.connect)
        self._stop[1].close()
