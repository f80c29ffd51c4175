"""etcd, API server, controllers, scheduler and volume provisioner, as host processes."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import yaml

from lab import layout, pki
from lab.files import write
from lab.supervisor import Daemon
from lab.web import answers

if TYPE_CHECKING:
    from pathlib import Path

HOST = "172.30.0.1"
ETCD = "https://127.0.0.1:2379"
STORAGE_PROVISIONER = "lab.aikernel.local/xfs"
POLICIES = layout.SOURCE / "policies"


def home() -> Path:
    """Return the directory of the control plane's files."""
    path = layout.state() / "control-plane"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def etcd() -> Daemon:
    """Return etcd, which accepts only clients with a certificate of its own authority."""
    authority = pki.authority("etcd-ca")
    server = pki.issue("etcd", authority, common_name="etcd", hosts=["127.0.0.1", "localhost"])
    return Daemon(
        name="etcd",
        command=(
            str(layout.binary("etcd")),
            "--name=lab-1",
            f"--data-dir={home() / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=https://127.0.0.1:2380",
            "--initial-advertise-peer-urls=https://127.0.0.1:2380",
            "--initial-cluster=lab-1=https://127.0.0.1:2380",
            "--client-cert-auth",
            f"--trusted-ca-file={authority.certificate}",
            f"--cert-file={server.certificate}",
            f"--key-file={server.key}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={authority.certificate}",
            f"--peer-cert-file={server.certificate}",
            f"--peer-key-file={server.key}",
            "--listen-metrics-urls=http://127.0.0.1:2381",
            "--auto-compaction-retention=1h",
            "--quota-backend-bytes=2147483648",
        ),
        configuration=(server.certificate,),
        ready=lambda: answers("http://127.0.0.1:2381/readyz"),
    )


def api_server() -> Daemon:
    """Return kube-apiserver: TLS 1.3 only, audited, Secrets encrypted at rest."""
    authority = pki.authority("ca")
    front = pki.authority("front-proxy-ca")
    etcd_client = pki.issue(
        "apiserver-etcd-client", pki.authority("etcd-ca"), common_name="kube-apiserver"
    )
    kubelet_client = pki.issue(
        "apiserver-kubelet-client", authority, common_name="kube-apiserver-kubelet-client"
    )
    aggregator = pki.issue("front-proxy-client", front, common_name="front-proxy-client")
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    server = pki.issue(
        "apiserver",
        authority,
        common_name="kube-apiserver",
        hosts=[
            HOST,
            layout.API_SERVICE,
            "127.0.0.1",
            "localhost",
            *service,
            f"{service[-1]}.cluster.local",
        ],
    )
    tokens = pki.service_account_key()
    encryption = _encryption_at_rest()
    policies = sorted(POLICIES.glob("*.yaml"))
    audit = layout.logs() / "audit" / "audit.log"
    audit.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Daemon(
        name="kube-apiserver",
        command=(
            str(layout.binary("kube-apiserver")),
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            "--secure-port=6443",
            f"--service-cluster-ip-range={layout.SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction,PodSecurity",
            f"--admission-control-config-file={POLICIES / 'admission.yaml'}",
            f"--authentication-config={POLICIES / 'authentication.yaml'}",
            f"--audit-policy-file={POLICIES / 'audit.yaml'}",
            f"--audit-log-path={audit}",
            "--audit-log-maxsize=100",
            "--audit-log-maxbackup=3",
            f"--encryption-provider-config={encryption}",
            "--tls-min-version=VersionTLS13",
            f"--client-ca-file={authority.certificate}",
            f"--tls-cert-file={server.certificate}",
            f"--tls-private-key-file={server.key}",
            f"--etcd-servers={ETCD}",
            f"--etcd-cafile={pki.pair('etcd-ca').certificate}",
            f"--etcd-certfile={etcd_client.certificate}",
            f"--etcd-keyfile={etcd_client.key}",
            f"--kubelet-certificate-authority={authority.certificate}",
            f"--kubelet-client-certificate={kubelet_client.certificate}",
            f"--kubelet-client-key={kubelet_client.key}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={tokens}",
            f"--service-account-signing-key-file={tokens}",
            f"--requestheader-client-ca-file={front.certificate}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={aggregator.certificate}",
            f"--proxy-client-key-file={aggregator.key}",
            "--enable-aggregator-routing=true",
            "--profiling=false",
            "--allow-privileged=true",
        ),
        configuration=(server.certificate, encryption, *policies),
        ready=lambda: answers(f"{layout.API_SERVER}/readyz", authority.certificate),
        within=90,
    )


def controller_manager() -> Daemon:
    """Return kube-controller-manager."""
    authority = pki.authority("ca")
    kubeconfig = _user("controller-manager", "system:kube-controller-manager")
    serving = _serving("controller-manager-serving")
    return Daemon(
        name="kube-controller-manager",
        command=(
            str(layout.binary("kube-controller-manager")),
            *_client(kubeconfig, serving),
            f"--cluster-signing-cert-file={authority.certificate}",
            f"--cluster-signing-key-file={authority.key}",
            f"--root-ca-file={authority.certificate}",
            f"--service-account-private-key-file={pki.service_account_key()}",
            "--use-service-account-credentials=true",
            f"--flex-volume-plugin-dir={home() / 'volume-plugins'}",
        ),
        configuration=(kubeconfig,),
        ready=lambda: answers("https://127.0.0.1:10257/healthz", authority.certificate),
    )


def scheduler() -> Daemon:
    """Return kube-scheduler."""
    authority = pki.authority("ca")
    kubeconfig = _user("scheduler", "system:kube-scheduler")
    serving = _serving("scheduler-serving")
    return Daemon(
        name="kube-scheduler",
        command=(str(layout.binary("kube-scheduler")), *_client(kubeconfig, serving)),
        configuration=(kubeconfig,),
        ready=lambda: answers("https://127.0.0.1:10259/healthz", authority.certificate),
    )


def volumes() -> Daemon:
    """Return the lab's own provisioner: one XFS file system of the claimed size per volume."""
    kubeconfig = _user("volumes", "aik-lab:volumes")
    directory = layout.state() / "volumes"
    directory.mkdir(parents=True, exist_ok=True)
    return Daemon(
        name="lab-volumes",
        command=(
            str(layout.binary("lab-volumes")),
            f"--kubeconfig={kubeconfig}",
            f"--provisioner={STORAGE_PROVISIONER}",
            f"--directory={directory}",
        ),
        configuration=(kubeconfig,),
        # A kubelet that came first would let its pods write below the mount points.
        ready=lambda: all(image.with_suffix("").is_mount() for image in directory.glob("*.xfs")),
    )


def write_admin_kubeconfig() -> Path:
    """Write the administrator's kubeconfig and return its path."""
    user = pki.issue(
        "admin", pki.authority("ca"), common_name="aik-lab-admin", groups=["system:masters"]
    )
    return pki.write_kubeconfig(layout.kubeconfig(), user)


def _client(kubeconfig: Path, serving: pki.Pair) -> tuple[str, ...]:
    """Return the flags that both clients share; a single one of a kind needs no election."""
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--authorization-always-allow-paths=/healthz,/readyz,/livez",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        "--tls-min-version=VersionTLS13",
    )


def _user(name: str, user: str) -> Path:
    signed = pki.issue(name, pki.authority("ca"), common_name=user)
    return pki.write_kubeconfig(home() / f"{name}.kubeconfig", signed)


def _serving(name: str) -> pki.Pair:
    return pki.issue(name, pki.authority("ca"), common_name=name, hosts=["127.0.0.1", "localhost"])


def _encryption_at_rest() -> Path:
    """Return the encryption configuration; its key is made once and kept with the state."""
    path = home() / "encryption.yaml"
    if not path.exists():
        key = {"name": "lab", "secret": base64.b64encode(secrets.token_bytes(32)).decode()}
        content = {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [
                {
                    "resources": ["secrets"],
                    "providers": [{"secretbox": {"keys": [key]}}, {"identity": {}}],
                }
            ],
        }
        write(path, yaml.safe_dump(content))
    return path
