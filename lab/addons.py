"""What makes a bare cluster usable: DNS, storage class, metrics, and the lab's marker."""

from __future__ import annotations

import base64
import string
from pathlib import Path

from lab import control_plane, layout, loading, pki, steps

DIRECTORY = layout.SOURCE / "addons"
BASE = ("base",)
PODS = ("coredns", "metrics-server")


def apply(names: tuple[str, ...]) -> None:
    """Apply addons by file name, server-side, so that a second time changes nothing."""
    text = "\n---\n".join(_filled(DIRECTORY / f"{name}.yaml") for name in names)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)


def await_pods(within: int = 180) -> None:
    """Wait until the addons' Deployments and the metrics API answer."""
    for name in PODS:
        kubectl("rollout", "status", "-n", "kube-system", f"deployment/{name}", f"--timeout={within}s")
    kubectl(
        "wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", f"--timeout={within}s"
    )


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
