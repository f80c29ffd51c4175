"""How a run reaches its cluster: one `Reach` per process, shared by all probes."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from conformance.evidence import Json, LookError, Question
from conformance.live.configuration import in_cluster, kubeconfig_file
from conformance.live.credentials import Credentials
from conformance.redaction import Redactor

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from conformance.platform import Platform

RUN = "{run}"


@dataclass
class Reach:
    """The cluster, the routes and the credentials of one run.

    `route` overrides the platform's own (`auto`, `pod-network`, `port-forward`).
    `allowed` lists the classes of probes that may run; `run` is the run's id,
    which replaces `{run}` in arguments.
    """

    platform: Platform
    kubeconfig: str | None
    context: str | None
    route: str | None
    run: str
    allowed: frozenset[str]
    redactor: Redactor = field(default_factory=Redactor)
    _lock: Lock = field(default_factory=Lock)

    def ask(self, question: Question) -> Json:
        """Answer a question by the probe it names.

        Raises:
            LookError: where there is no answer.
        """
        view, _, verb = question.probe.partition(".")
        module = importlib.import_module(f"conformance.live.{view}")
        probe = module.PROBES[verb]
        return probe(self, **_filled(dict(question.arguments), slug(self.run)))

    def redact(self, value: Json) -> Json:
        """Take known and recognisable secrets out of a JSON value."""
        return self.redactor.redact(value)

    def demand(self, danger: str) -> None:
        """Refuse a probe whose class this run does not allow."""
        if danger not in self.allowed:
            raise LookError("not-enabled", f"this run does not allow the class `{danger}`")

    @cached_property
    def credentials(self) -> Credentials:
        """Return the credentials of the platform section, looked up on demand."""
        return Credentials(self)

    @property
    def pod_route(self) -> str:
        """Return `pod-network` or `port-forward`."""
        chosen = self.route or self.platform.route
        if chosen == "auto":
            return "pod-network" if in_cluster() else "port-forward"
        return chosen

    def new_client(self) -> ApiClient:
        """Return an ApiClient of its own (streams must not share one).

        Raises:
            LookError: where no cluster is configured.
        """
        import yaml
        from kubernetes import client, config
        from kubernetes.config import ConfigException

        settings = client.Configuration()
        path = kubeconfig_file(self.kubeconfig)
        try:
            if path is not None:
                config.load_kube_config(str(path), self.context, settings)
            else:
                config.load_incluster_config(settings)
        except (ConfigException, OSError, yaml.YAMLError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())
            hint = "give --kubeconfig and --context, or run in a pod of the cluster"
            raise LookError(
                "unreachable", f"no cluster is configured ({reason}); {hint}"
            ) from error
        settings.retries = False
        settings.connection_pool_maxsize = 32
        return client.ApiClient(settings)

    @property
    def client(self) -> ApiClient:
        """Return the ApiClient for plain requests, which threads may share."""
        with self._lock:
            return self._client

    @cached_property
    def _client(self) -> ApiClient:
        return self.new_client()


def slug(run: str) -> str:
    """Return a run's id as names of objects, keys and tables may hold it, quoted or not."""
    return re.sub(r"[^a-z0-9.-]", "-", run.lower())[:40]


def _filled(value: Json, run: str) -> Json:
    if isinstance(value, str):
        return value.replace(RUN, run)
    if isinstance(value, list | tuple):
        return [_filled(one, run) for one in value]
    if isinstance(value, dict):
        return {key: _filled(one, run) for key, one in value.items()}
    return value
