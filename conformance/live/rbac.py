"""Probes of access: reviews, calls with an account's own token, calls with no credential at all."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import urllib3

from conformance.evidence import LookError
from conformance.kinds import KINDS
from conformance.live import http, kubernetes
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.live.reach import Reach

_FORBIDDEN = 403
_SECONDS = 600  # the shortest life that the API gives a token
_RIGHTS = ("cannot ", "attempting to grant RBAC permissions")  # how a refusal for rights reads
_SHOWN = 200  # characters of an answer that are kept


def may(reach: Reach, user: str, groups: Sequence[str], **attributes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the API server's decision about anybody's right (a SubjectAccessReview)."""
    spec = {"user": user, "groups": list(groups), **attributes}
    kind = "SubjectAccessReview"
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = kubernetes.request(reach, "POST", path, body)
    status = answer.get("status") if isinstance(answer, dict) else None
    if not isinstance(status, dict) or not isinstance(status.get("allowed"), bool):
        raise LookError("malformed", f"the API did not answer with a {kind}")
    return status


def as_account(
    reach: Reach, namespace: str, name: str, calls: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Make calls with a token of the account that lives ten minutes; return what came of each.

    That is the `status`, and whether a refusal was for `rights` (and not by admission, or
    by something in between). What would write is a dry run. The token is used here and
    goes no further.

    Raises:
        LookError: `not-enabled` unless the run allows canaries, or why there is no answer.
    """
    token = _token(reach, namespace, name, _SECONDS)["token"]
    deadline = time.monotonic() + LIMITS.probe
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    with closing(_stranger(reach)) as manager:
        return [_called(reach, manager, one, headers, deadline) for one in calls]


def lifetime(reach: Reach, namespace: str, name: str) -> dict[str, int]:
    """Return how long a token lives that is asked for without saying how long, in seconds."""
    status = _token(reach, namespace, name, None)
    ends = datetime.fromisoformat(status["expirationTimestamp"])
    return {"seconds": round(ends.timestamp() - time.time())}


def anonymous(reach: Reach, path: str) -> dict[str, Any]:
    """Return what the API server says to somebody who shows neither token nor certificate."""
    with closing(_stranger(reach)) as manager:
        url = reach.client.configuration.host + path
        return _heard(manager, url, lambda body: body.get("kind") == "Status")


def kubelet(reach: Reach, address: str, port: int) -> dict[str, Any]:
    """Return what a kubelet says to somebody who shows nothing and asks for its pods.

    Any certificate will do: nothing is sent that somebody else could misuse, and who it
    is, its answer says.
    """
    _ = reach
    host = f"[{address}]" if ":" in address else address
    if port == _READ_ONLY:
        with closing(_Manager()) as manager:
            return _heard(manager, f"http://{host}:{port}/pods", lambda _: True)
    shown = _certificate(address, port)
    with closing(_Manager(cert_reqs="CERT_NONE", assert_fingerprint=shown)) as manager:
        return _heard(manager, f"https://{host}:{port}/pods", lambda _: True)


_READ_ONLY = 10255


def _certificate(address: str, port: int) -> str:
    """Return the fingerprint of the certificate that a server shows."""
    try:
        pem = ssl.get_server_certificate((address, port), timeout=LIMITS.connect)
    except TimeoutError as error:
        raise LookError("timeout", "there was no certificate in time") from error
    except OSError as error:
        raise LookError("unreachable", f"it cannot be reached: {error}") from error
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


class _Manager(urllib3.PoolManager):
    """A pool without anything of the suite's own identity."""

    def close(self) -> None:
        self.clear()


def _stranger(reach: Reach) -> _Manager:
    settings = reach.client.configuration
    verify = "CERT_REQUIRED" if settings.verify_ssl else "CERT_NONE"
    server_name = getattr(settings, "tls_server_name", None)
    return _Manager(
        ca_certs=settings.ssl_ca_cert,
        cert_reqs=verify,
        **({"server_hostname": server_name} if server_name else {}),
    )


def _token(reach: Reach, namespace: str, name: str, seconds: int | None) -> dict[str, Any]:
    reach.demand("canary")
    account = KINDS["serviceaccounts"].path_of(quote(name, ""), quote(namespace, ""))
    spec: dict[str, Any] = {} if seconds is None else {"expirationSeconds": seconds}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = kubernetes.request(reach, "POST", f"{account}/token", body)
    status = answer.get("status") if isinstance(answer, dict) else None
    if not isinstance(status, dict) or not {"token", "expirationTimestamp"} <= set(status):
        raise LookError("malformed", "the API did not answer with a TokenRequest")
    reach.redactor.learn(str(status["token"]))
    return status


def _called(
    reach: Reach,
    manager: urllib3.PoolManager,
    call: dict[str, Any],
    headers: dict[str, str],
    deadline: float,
) -> dict[str, Any]:
    path = KINDS[call["kind"]].path_of("", quote(call["namespace"], ""))
    url = reach.client.configuration.host + path
    if call["method"] == "GET":
        answer = http.fetch(manager, "GET", f"{url}?limit=1", headers, deadline)
    else:
        body = json.dumps(call["body"]).encode()
        sent = headers | {"Content-Type": "application/json"}
        answer = http.fetch(manager, "POST", f"{url}?dryRun=All", sent, deadline, body)
    said = _message(answer.data) if answer.status == _FORBIDDEN else ""
    return {"status": answer.status, "rights": any(one in said for one in _RIGHTS)}


def _message(data: bytes) -> str:
    """Return what a Status says; nothing where it is none."""
    try:
        body = json.loads(data)
    except ValueError:
        return ""
    is_status = isinstance(body, dict) and body.get("kind") == "Status"
    return str(body.get("message") or "") if is_status else ""


def _heard(
    manager: urllib3.PoolManager, url: str, known: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Return status and the first words; of data that should not have come, only its kind."""
    deadline = time.monotonic() + LIMITS.probe
    found = http.fetch(manager, "GET", url, {"Accept": "application/json"}, deadline)
    try:
        body = json.loads(found.data)
    except ValueError:
        body = None
    if isinstance(body, dict):
        said = str(body.get("message") or f"a {body.get('kind')}")
        by_api = known(body) or bool(body.get("apiVersion"))
    else:
        said = found.data[:_SHOWN].decode("utf-8", "replace")
        by_api = said.strip() in {"Unauthorized", "ok"} or said.startswith("Forbidden")
    return {"status": found.status, "by_api": by_api, "said": said[:_SHOWN]}


PROBES: dict[str, Callable[..., Any]] = {
    "may": may,
    "as_account": as_account,
    "lifetime": lifetime,
    "anonymous": anonymous,
    "kubelet": kubelet,
}
