"""What makes a bare cluster usable: DNS, storage class, metrics, and the lab's marker."""

from __future__ import annotations

import base64
import string
from typing import TYPE_CHECKING

from lab import control_plane, layout, loading, pki, steps

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY = layout.SOURCE / "addons"
BASE = ("base",)
PODS = ("coredns", "metrics-server")
WITHIN = "180s"


def apply(names: tuple[str, ...]) -> None:
    """Apply addons by file name, server-side, so that a second time changes nothing."""
    text = "\n---\n".join(_filled(DIRECTORY / f"{name}.yaml") for name in names)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)


def await_dns() -> None:
    """Wait until the cluster's DNS answers."""
    kubectl("rollout", "status", "-n", "kube-system", "deployment/coredns", f"--timeout={WITHIN}")


def await_metrics() -> None:
    """Wait until the metrics API answers: after two measurements, so it is the last to do so."""
    metrics = "apiservice/v1beta1.metrics.k8s.io"
    with steps.step("wait for metrics", layout.logs() / "kubectl.log"):
        kubectl(
            "rollout",
            "status",
            "-n",
            "kube-system",
            "deployment/metrics-server",
            f"--timeout={WITHIN}",
        )
        kubectl("wait", "--for=condition=Available", metrics, f"--timeout={WITHIN}")


def kubectl(*arguments: str, stdin: str | None = None) -> None:
    """Run kubectl as the lab's administrator; its output goes to the log."""
    command = [str(layout.binary("kubectl")), "--kubeconfig", str(layout.kubeconfig()), *arguments]
    steps.run(command, layout.logs() / "kubectl.log", stdin=stdin)


def _filled(file: Path) -> str:
    """Return an addon's text with the values of this lab."""
    authority = pki.authority("ca")
    serving = pki.issue(
        "metrics-server",
        authority,
        common_name="metrics-server",
        hosts=["metrics-server.kube-system.svc", "metrics-server.kube-system"],
    )
    values = {
        "CLUSTER_DNS": layout.CLUSTER_DNS,
        "STORAGE_PROVISIONER": control_plane.STORAGE_PROVISIONER,
        "CA_BUNDLE": _base64(authority.certificate),
        "METRICS_CERTIFICATE": _base64(serving.certificate),
        "METRICS_KEY": _base64(serving.key),
        "IMAGE": loading.identity(file.stem) if file.stem in PODS else "",
    }
    return string.Template(file.read_text()).substitute(values)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
