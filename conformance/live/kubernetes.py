"""Probes of the Kubernetes API: raw JSON, whole lists or none."""

from __future__ import annotations

import gc
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from conformance.evidence import LookError
from conformance.kinds import KINDS, Kind
from conformance.live import http
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.live.reach import Reach

_PAGES = (500, 50, 5)  # objects a page; fewer where a page is larger than the cap
_TRIES = 3
_OK = 200
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
    Half a list is never returned: a page that is refused, gone or cut ends it, and
    so does a list that names an object twice or ends before its own count.
    """
    meant = KINDS[kind]
    items: dict[tuple[str, str], dict[str, Any]] = {}
    after = ""
    deadline = time.monotonic() + LIMITS.listing
    frozen = gc.isenabled()
    gc.disable()
    try:
        while True:
            page = _page(reach, meant, after, deadline)
            before = len(items)
            items |= {_key(one): _slim(one) for one in page["items"]}
            _check_count(page, len(items) - before)
            after = page["metadata"].get("continue") or ""
            if not after:
                return list(items.values())
    except LookError as error:
        if items or error.kind != "not-found":
            raise
        raise LookError("kind-unknown", f"the API does not serve {kind}", error.detail) from error
    finally:
        if frozen:
            gc.enable()


def _page(reach: Reach, meant: Kind, after: str, deadline: float) -> dict[str, Any]:
    for limit in _PAGES:
        query = {"limit": limit, **({"continue": after} if after else {})}
        try:
            page = request(reach, "GET", f"{meant.path}?{urlencode(query)}", until=deadline)
        except http.TooLargeError:
            if limit == _PAGES[-1]:
                raise
        else:
            break
    _check_page(page, meant)
    return dict(page)


def get(reach: Reach, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    """Return one object."""
    found = request(reach, "GET", KINDS[kind].path_of(quote(name, ""), quote(namespace, "")))
    if not _is_object(found) or found["metadata"].get("name") != name:
        raise LookError("malformed", f"the API did not answer with the {KINDS[kind].kind} {name}")
    return _slim(found)


def version(reach: Reach) -> dict[str, Any]:
    """Return what `/version` says."""
    answer = request(reach, "GET", "/version")
    if not isinstance(answer, dict) or not isinstance(answer.get("gitVersion"), str):
        raise LookError("malformed", "what answers /version is no Kubernetes API")
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
    status = answer.get("status") if isinstance(answer, dict) else None
    if not isinstance(status, dict) or not isinstance(status.get("allowed"), bool):
        raise LookError("malformed", "the API did not answer with a SelfSubjectAccessReview")
    return status


def request(
    reach: Reach, method: str, path: str, body: dict[str, Any] | None = None, until: float = 0.0
) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a successful answer.

    A look that the API puts off (429 or 503 with `Retry-After`) is taken again,
    three times at most and within the deadline.

    Raises:
        LookError: with the kind that the HTTP status stands for.
    """
    deadline = until or time.monotonic() + LIMITS.probe
    for _ in range(_TRIES):
        status, headers, data = _sent(reach, method, path, body, deadline)
        wait = _put_off(status, headers) if method == "GET" else None
        if wait is None or time.monotonic() + wait >= deadline:
            break
        time.sleep(wait)
    content = _decoded(data, status)
    if _OK <= status < 300:  # noqa: PLR2004 - success, as HTTP has it
        return content
    message = content.get("message", "") if isinstance(content, dict) else content
    raise _refusal(reach, status, str(message))


def _put_off(status: int, headers: Mapping[str, str]) -> int | None:
    """Return the seconds that the API asks to wait for, at least one; None where it does not."""
    asked = headers.get("Retry-After", "")
    return max(int(asked), 1) if status in {429, 503} and asked.isdecimal() else None


def _refusal(reach: Reach, status: int, said: str) -> LookError:
    # Redacted before it is cut: half a token would pass unseen.
    message = f"the API answered {status}: {reach.redactor.text(said)[:300]}"
    return LookError(kind_of_status(status), message, {"status": status})


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
    deadline = until or time.monotonic() + LIMITS.probe
    status, headers, data = _sent(reach, method, path, body, deadline)
    return {"status": status, "date": headers.get("Date", ""), "body": _decoded(data, status)}


def text(reach: Reach, path: str) -> str:
    """Return the text of a successful answer, such as a container's log.

    Raises:
        LookError: as `request`.
    """
    status, _, data = _sent(reach, "GET", path, None, time.monotonic() + LIMITS.probe)
    said = data.decode("utf-8", "replace")
    if _OK <= status < 300:  # noqa: PLR2004 - success, as HTTP has it
        return said
    raise _refusal(reach, status, said)


def authorization(reach: Reach) -> dict[str, str]:
    """Return the header by which the suite proves who it is; its token is known as a secret."""
    headers: dict[str, str] = {}
    reach.client.update_params_for_auth(headers, [], ["BearerToken"])
    reach.redactor.learn(*(one.rpartition(" ")[2] for one in headers.values()))
    return headers


def _sent(
    reach: Reach, method: str, path: str, body: dict[str, Any] | None, deadline: float
) -> http.Response:
    client = reach.client
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    return http.fetch(
        client.rest_client.pool_manager,
        method,
        client.configuration.host + path,
        headers | authorization(reach),
        deadline,
        json.dumps(body).encode() if body is not None else None,
    )


def _decoded(data: bytes, status: int) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        if status >= 400:  # noqa: PLR2004 - an error page may be text
            return data[:2000].decode("utf-8", "replace")
        if data[:1] == b"{" and data.rstrip()[-1:] != b"}":
            raise LookError("partial", "the API's answer is no whole JSON") from error
        raise LookError("malformed", "the API's answer is no JSON") from error


def _check_page(page: Any, meant: Kind) -> None:  # noqa: ANN401 - JSON
    fits = (
        isinstance(page, dict)
        and page.get("kind") == f"{meant.kind}List"
        and isinstance(page.get("items"), list)
        and isinstance(page.get("metadata"), dict)
        and all(map(_is_object, page["items"]))
    )
    if not fits:
        raise LookError("malformed", f"the API did not answer with a {meant.kind}List")


def _check_count(page: dict[str, Any], new: int) -> None:
    if new < len(page["items"]):
        raise LookError("malformed", "the API lists an object twice")
    left = page["metadata"].get("remainingItemCount")
    if left and not page["metadata"].get("continue"):
        raise LookError("partial", f"the API's list ends {left} objects early")


def _key(item: dict[str, Any]) -> tuple[str, str]:
    metadata = item["metadata"]
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _is_object(value: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(value, dict) and isinstance(value.get("metadata"), dict)


def _slim(item: dict[str, Any]) -> dict[str, Any]:
    metadata = item["metadata"]
    times = [one["time"] for one in metadata.pop("managedFields", None) or () if one.get("time")]
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
