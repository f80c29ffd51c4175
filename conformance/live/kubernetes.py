"""Probes of the Kubernetes API: raw JSON, whole lists or none."""

from __future__ import annotations

import gc
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import urllib3

from conformance.evidence import LookError
from conformance.kinds import KINDS, Kind
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.live.reach import Reach

_PAGE = 500
_CAP = 512 * 1024 * 1024
_KINDS_OF_STATUS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    410: "partial",
    429: "timeout",
    504: "timeout",
}


def list_(reach: Reach, kind: str) -> list[dict[str, Any]]:
    """Return every object of a kind in the whole cluster, `managedFields` dropped.

    In their place `metadata.lastWritten` says when the object was last written.
    Half a list is never returned: a page that is refused, gone or cut ends it.
    """
    meant = KINDS[kind]
    items: list[dict[str, Any]] = []
    after = ""
    deadline = time.monotonic() + LIMITS.listing
    frozen = gc.isenabled()
    gc.disable()
    try:
        while True:
            query = {"limit": _PAGE, **({"continue": after} if after else {})}
            page = request(reach, "GET", f"{meant.path}?{urlencode(query)}", until=deadline)
            _check_page(page, meant)
            items += [_slim(one) for one in page["items"]]
            after = page["metadata"].get("continue") or ""
            if not after:
                return items
    except LookError as error:
        if items or error.kind != "not-found":
            raise
        raise LookError("kind-unknown", f"the API does not serve {kind}", error.detail) from error
    finally:
        if frozen:
            gc.enable()


def get(reach: Reach, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    """Return one object."""
    return _slim(request(reach, "GET", KINDS[kind].path_of(quote(name, ""), quote(namespace, ""))))


def version(reach: Reach) -> dict[str, Any]:
    """Return what `/version` says."""
    answer: dict[str, Any] = request(reach, "GET", "/version")
    return answer


def context(reach: Reach) -> dict[str, str]:
    """Return the host name of the API server that the run talks to."""
    return {"server": str(reach.client.configuration.host)}


def dry_create(
    reach: Reach, kind: str, body: dict[str, Any], namespace: str = "", subresource: str = ""
) -> dict[str, Any]:
    """Create an object with `dryRun=All`; return status code and answer, refusals included.

    Nothing is stored: admission (quota, webhooks, budgets) is what is asked.
    """
    path = KINDS[kind].path_of(
        quote(body["metadata"]["name"], "") + f"/{subresource}" if subresource else "",
        quote(namespace, ""),
    )
    return exchange(reach, "POST", f"{path}?dryRun=All", body)


def may(reach: Reach, attributes: dict[str, str]) -> dict[str, Any]:
    """Return what the API says about a right of the suite's own identity."""
    return _review(reach, {"resourceAttributes": attributes})


def may_url(reach: Reach, path: str, verb: str = "get") -> dict[str, Any]:
    """Return what the API says about the suite's own right to a path such as `/version`."""
    return _review(reach, {"nonResourceAttributes": {"path": path, "verb": verb}})


def _review(reach: Reach, spec: dict[str, Any]) -> dict[str, Any]:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": spec,
    }
    answer = request(reach, "POST", KINDS["selfsubjectaccessreviews"].path, body)
    status: dict[str, Any] = answer["status"]
    return status


def request(
    reach: Reach, method: str, path: str, body: dict[str, Any] | None = None, until: float = 0.0
) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a successful answer.

    Raises:
        LookError: with the kind that the HTTP status stands for.
    """
    answer = exchange(reach, method, path, body, until)
    status, content = answer["status"], answer["body"]
    if 200 <= status < 300:  # noqa: PLR2004 - success, as HTTP has it
        return content
    message = content.get("message", "") if isinstance(content, dict) else str(content)[:200]
    raise LookError(
        kind_of_status(status), f"the API answered {status}: {message}", {"status": status}
    )


def kind_of_status(status: int) -> str:
    """Return the kind of `LookError` that an HTTP status of the API stands for."""
    return _KINDS_OF_STATUS.get(status, "unreachable" if status >= 500 else "malformed")  # noqa: PLR2004


def exchange(
    reach: Reach, method: str, path: str, body: dict[str, Any] | None = None, until: float = 0.0
) -> dict[str, Any]:
    """Send one request and read the whole answer, within a deadline and a byte cap.

    Returns status, body (JSON, or text where it is none) and the `Date` header.

    Raises:
        LookError: `timeout`, `unreachable`, `partial` or `malformed`.
    """
    status, date, data = _sent(reach, method, path, body, until)
    return {"status": status, "date": date, "body": _decoded(data, status)}


def text(reach: Reach, path: str) -> str:
    """Return the text of a successful answer, such as a container's log.

    Raises:
        LookError: as `request`.
    """
    status, _, data = _sent(reach, "GET", path, None, 0.0)
    said = data.decode("utf-8", "replace")
    if 200 <= status < 300:  # noqa: PLR2004 - success, as HTTP has it
        return said
    message = f"the API answered {status}: {said[:200]}"
    raise LookError(kind_of_status(status), message, {"status": status})


def _sent(
    reach: Reach, method: str, path: str, body: dict[str, Any] | None, until: float
) -> tuple[int, str, bytes]:
    deadline = until or time.monotonic() + LIMITS.probe
    client = reach.client
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    client.update_params_for_auth(headers, [], ["BearerToken"])
    try:
        response = client.rest_client.pool_manager.request(
            method,
            client.configuration.host + path,
            body=json.dumps(body) if body is not None else None,
            headers=headers,
            timeout=urllib3.Timeout(connect=LIMITS.connect, read=LIMITS.probe),
            preload_content=False,
            redirect=False,
            retries=False,
        )
        data = _read(response, deadline)
    except urllib3.exceptions.TimeoutError as error:
        raise LookError("timeout", f"the API did not answer in time: {error}") from error
    except urllib3.exceptions.ProtocolError as error:
        raise LookError("partial", f"the API's answer stopped half-way: {error}") from error
    except urllib3.exceptions.HTTPError as error:
        raise LookError("unreachable", f"the API cannot be reached: {error}") from error
    return response.status, response.headers.get("Date", ""), data


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    data = bytearray()
    try:
        while chunk := response.read1():
            data += chunk
            if len(data) > _CAP:
                raise LookError("malformed", f"the API's answer is larger than {_CAP} bytes")
            if time.monotonic() > deadline:
                raise LookError("timeout", "the API's answer took longer than its limit")
    finally:
        response.release_conn()
    return bytes(data)


def _decoded(data: bytes, status: int) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(data)
    except ValueError as error:
        if status < 400:  # noqa: PLR2004 - an error page may be text
            raise LookError("partial", "the API's answer is no whole JSON") from error
        return data[:2000].decode("utf-8", "replace")


def _check_page(page: Any, meant: Kind) -> None:  # noqa: ANN401 - JSON
    fits = (
        isinstance(page, dict)
        and page.get("kind") == f"{meant.kind}List"
        and isinstance(page.get("items"), list)
        and isinstance(page.get("metadata"), dict)
    )
    if not fits:
        raise LookError("malformed", f"the API did not answer with a {meant.kind}List")


def _slim(item: dict[str, Any]) -> dict[str, Any]:
    metadata = item.get("metadata", {})
    times = [one["time"] for one in metadata.pop("managedFields", ()) if one.get("time")]
    if times:
        metadata["lastWritten"] = max(times)
    return item


PROBES: dict[str, Callable[..., Any]] = {
    "list": list_,
    "get": get,
    "version": version,
    "context": context,
    "dry_create": dry_create,
    "may": may,
    "may_url": may_url,
}
