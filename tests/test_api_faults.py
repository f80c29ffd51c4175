"""Half a list is never a list: every way in which the Kubernetes API can fail in the middle."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.evidence import LookError
from conformance.live import kubernetes
from tests.reaching import ROOMY, TOKEN, reach_to, short_limits
from tests.servers import Behaviour, cut, reply, scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.live.reach import Reach
    from tests.servers import Server


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n", **metadata}, "spec": {}}


def page(*names: str, after: str = "", kind: str = "PodList", **metadata: Any) -> bytes:
    return reply(
        {
            "kind": kind,
            "metadata": {"continue": after, **metadata},
            "items": [pod(one) for one in names],
        }
    )


FIRST = page("a", "b", after="more")
REFUSED = {"kind": "Status", "message": "said why"}


@contextmanager
def api(folder: Path, behave: Behaviour) -> Iterator[tuple[Reach, Server]]:
    with short_limits(ROOMY), serving(behave) as server:
        yield reach_to(folder, f"http://127.0.0.1:{server.port}"), server


def names(items: list[dict[str, Any]]) -> list[str]:
    return [one["metadata"]["name"] for one in items]


def test_all_pages_make_one_list(tmp_path: Path) -> None:
    with api(tmp_path, scripted(FIRST, page("c"))) as (reach, server):
        assert names(kubernetes.list_(reach, "pods")) == ["a", "b", "c"]
    asked = re.findall(rb"GET (\S+)", bytes(server.heard))
    assert asked == [b"/api/v1/pods?limit=500", b"/api/v1/pods?limit=500&continue=more"]


FAULTS: dict[str, tuple[bytes | Behaviour, str]] = {
    "unauthorized": (reply(REFUSED, "401 Unauthorized"), "unauthorized"),
    "forbidden": (reply(REFUSED, "403 Forbidden"), "forbidden"),
    "not_found": (reply(REFUSED, "404 Not Found"), "not-found"),
    "gone": (reply(REFUSED, "410 Gone"), "partial"),
    "too_many": (reply(REFUSED, "429 Too Many Requests"), "timeout"),
    "too_many_for_long": (
        reply(REFUSED, "429 Too Many Requests", Retry_After="3600"),
        "timeout",
    ),
    "broken": (reply(REFUSED, "500 Internal Server Error"), "unreachable"),
    "bad_gateway": (reply(b"<html>", "502 Bad Gateway"), "unreachable"),
    "redirect": (reply(b"", "302 Found", Location="/elsewhere"), "malformed"),
    "reset": (cut(page("c").partition(b"\r\n\r\n")[2][:30], reset=True), "partial"),
    "ended_early": (cut(page("c").partition(b"\r\n\r\n")[2]), "partial"),
    "cut_json": (reply(page("c").partition(b"\r\n\r\n")[2][:-5]), "partial"),
    "no_json": (reply(b"<html>welcome</html>"), "malformed"),
    "deep_json": (reply(b"[" * 100_000), "malformed"),
    "wrong_kind": (page("c", kind="NodeList"), "malformed"),
    "one_object": (reply({"kind": "Pod", **pod("c")}), "malformed"),
    "no_items": (reply({"kind": "PodList", "metadata": {}}), "malformed"),
    "null_items": (reply({"kind": "PodList", "metadata": {}, "items": None}), "malformed"),
    "no_objects": (reply({"kind": "PodList", "metadata": {}, "items": [1]}), "malformed"),
    "same_again": (page("b", "c"), "malformed"),
    "same_page_for_ever": (FIRST, "malformed"),
    "twice_in_a_page": (page("c", "c"), "malformed"),
    "ends_too_soon": (page("c", remainingItemCount=7), "partial"),
}


LATER_ONLY = {"not_found", "same_again"}


@pytest.mark.parametrize(
    ("pages", "fault"),
    [(0, one) for one in FAULTS if one not in LATER_ONLY] + [(1, one) for one in FAULTS],
)
def test_half_a_list_is_never_kept(tmp_path: Path, pages: int, fault: str) -> None:
    answer, kind = FAULTS[fault]
    with (
        api(tmp_path, scripted(*[FIRST] * pages, answer)) as (reach, _),
        pytest.raises(LookError) as caught,
    ):
        kubernetes.list_(reach, "pods")
    assert caught.value.kind == kind, caught.value


def test_a_kind_that_is_not_served_is_called_so(tmp_path: Path) -> None:
    with (
        api(tmp_path, scripted(reply(REFUSED, "404 Not Found"))) as (reach, _),
        pytest.raises(LookError) as caught,
    ):
        kubernetes.list_(reach, "pods")
    assert caught.value.kind == "kind-unknown"


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_look_that_is_put_off_is_taken_again(tmp_path: Path, status: str) -> None:
    busy = reply(REFUSED, status, Retry_After="1")
    with api(tmp_path, scripted(busy, page("a"))) as (reach, server):
        began = time.monotonic()
        assert names(kubernetes.list_(reach, "pods")) == ["a"]
        assert 1 <= time.monotonic() - began < 2
    assert server.heard.count(b"GET ") == 2


def test_an_api_that_puts_off_for_ever_is_asked_three_times_at_most(tmp_path: Path) -> None:
    busy = reply(REFUSED, "429 Too Many Requests", Retry_After="0")
    with api(tmp_path, scripted(busy)) as (reach, server):
        began = time.monotonic()
        with pytest.raises(LookError):
            kubernetes.list_(reach, "pods")
        assert time.monotonic() - began < ROOMY.listing + 1
    assert 1 < server.heard.count(b"GET ") <= 3


def test_what_is_no_look_is_never_repeated(tmp_path: Path) -> None:
    busy = reply(REFUSED, "429 Too Many Requests", Retry_After="0")
    body = {"metadata": {"name": "p"}}
    with api(tmp_path, scripted(busy)) as (reach, server):
        answer = kubernetes.dry_create(reach, "pods", body, "n", "eviction")
    assert (answer["status"], server.heard.count(b"POST ")) == (429, 1)


def test_a_server_with_another_clock_answers_all_the_same(tmp_path: Path) -> None:
    old = reply({"gitVersion": "v1"}, Date="Thu, 01 Jan 1970 00:00:00 GMT")
    with api(tmp_path, scripted(old)) as (reach, _):
        assert kubernetes.version(reach) == {"gitVersion": "v1"}
        assert kubernetes.exchange(reach, "GET", "/version")["date"].endswith("1970 00:00:00 GMT")


def test_a_page_past_the_cap_is_asked_for_in_smaller_ones(tmp_path: Path) -> None:
    large = page("a", filler="x" * (15 * 1024 * 1024))
    with api(tmp_path, scripted(large, page("a", after="m"), page("b"))) as (reach, server):
        assert names(kubernetes.list_(reach, "pods")) == ["a", "b"]
    assert re.findall(rb"limit=(\d+)", bytes(server.heard)) == [b"500", b"50", b"500"]


def test_an_answer_that_was_given_up_is_not_taken_for_the_next(tmp_path: Path) -> None:
    late = cut(b'{"gitVersion": "of the first"')
    with api(tmp_path, scripted(late, reply({"gitVersion": "of the second"}))) as (reach, _):
        with pytest.raises(LookError):
            kubernetes.version(reach)
        assert kubernetes.version(reach) == {"gitVersion": "of the second"}


@pytest.mark.parametrize("answer", [{}, [], "yes", {"kind": "Pod"}, pod("other"), {"metadata": []}])
def test_one_object_is_the_one_that_was_asked_for(tmp_path: Path, answer: object) -> None:
    with api(tmp_path, scripted(reply(answer))) as (reach, _), pytest.raises(LookError) as caught:
        kubernetes.get(reach, "pods", "mine", "n")
    assert caught.value.kind == "malformed"


def test_an_error_that_repeats_the_token_does_not_show_half_of_it(tmp_path: Path) -> None:
    echo = reply({"message": "x" * 290 + TOKEN}, "403 Forbidden")
    with api(tmp_path, scripted(echo)) as (reach, _), pytest.raises(LookError) as caught:
        kubernetes.get(reach, "pods", "mine", "n")
    assert TOKEN[:8] not in caught.value.message
