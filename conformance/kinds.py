"""The kinds of API objects that the suite reads, and where the API serves them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind: its group and version (`v1`, `apps/v1`), its plural, and its name."""

    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def path(self) -> str:
        """Return the path that lists the kind in the whole cluster."""
        root = "/api" if "/" not in self.version else "/apis"
        return f"{root}/{self.version}/{self.plural}"

    def path_of(self, name: str, namespace: str = "") -> str:
        """Return the path of one object, or of the collection where `name` is empty."""
        root = "/api" if "/" not in self.version else "/apis"
        middle = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}/{self.version}{middle}/{self.plural}" + (f"/{name}" if name else "")


def _kinds(version: str, *names: str, namespaced: bool = True) -> dict[str, Kind]:
    pairs = (name.split("=") for name in names)
    return {plural: Kind(version, plural, kind, namespaced) for plural, kind in pairs}


KINDS: dict[str, Kind] = {
    **_kinds("v1", "nodes=Node", "namespaces=Namespace", namespaced=False),
    **_kinds("v1", "persistentvolumes=PersistentVolume", namespaced=False),
    **_kinds("v1", "pods=Pod", "services=Service", "endpoints=Endpoints", "configmaps=ConfigMap"),
    **_kinds("v1", "secrets=Secret", "serviceaccounts=ServiceAccount", "events=Event"),
    **_kinds("v1", "persistentvolumeclaims=PersistentVolumeClaim", "limitranges=LimitRange"),
    **_kinds("v1", "resourcequotas=ResourceQuota"),
    **_kinds("apps/v1", "statefulsets=StatefulSet", "deployments=Deployment"),
    **_kinds("apps/v1", "daemonsets=DaemonSet", "replicasets=ReplicaSet"),
    **_kinds("batch/v1", "jobs=Job", "cronjobs=CronJob"),
    **_kinds("discovery.k8s.io/v1", "endpointslices=EndpointSlice"),
    **_kinds("autoscaling/v2", "horizontalpodautoscalers=HorizontalPodAutoscaler"),
    **_kinds("policy/v1", "poddisruptionbudgets=PodDisruptionBudget"),
    **_kinds("coordination.k8s.io/v1", "leases=Lease"),
    **_kinds("storage.k8s.io/v1", "storageclasses=StorageClass", namespaced=False),
    **_kinds("networking.k8s.io/v1", "networkpolicies=NetworkPolicy", "ingresses=Ingress"),
    **_kinds("rbac.authorization.k8s.io/v1", "roles=Role", "rolebindings=RoleBinding"),
    **_kinds(
        "rbac.authorization.k8s.io/v1",
        "clusterroles=ClusterRole",
        "clusterrolebindings=ClusterRoleBinding",
        namespaced=False,
    ),
    **_kinds(
        "admissionregistration.k8s.io/v1",
        "mutatingwebhookconfigurations=MutatingWebhookConfiguration",
        "validatingwebhookconfigurations=ValidatingWebhookConfiguration",
        namespaced=False,
    ),
    **_kinds(
        "authorization.k8s.io/v1",
        "selfsubjectaccessreviews=SelfSubjectAccessReview",
        namespaced=False,
    ),
}
