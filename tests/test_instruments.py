"""The instruments themselves: TLS on the loopback, DNS by hand, rights, and what they conclude."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from conformance.evidence import Answer, LookError, Question
from conformance.instruments import Instruments
from conformance.live import instruments
from tests.reaching import reach_to, short_limits
from tests.replaying import LAB, constitution_with
from tests.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import Line

_NAME = b"\x01n\x03svc\0"


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    with short_limits():
        yield


def test_our_client_and_our_server_speak_old_tls(tmp_path: Path) -> None:
    spoken = instruments.tls(reach_to(tmp_path, "http://127.0.0.1:1"))
    assert spoken == {"TLSv1": "TLSv1", "TLSv1_1": "TLSv1.1", "TLSv1_2": "TLSv1.2"}


def record(address: bytes, kind: int = 1, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack(">HHIH", kind, 1, 30, len(address)) + address


def dns(code: int, *records: bytes) -> Callable[[Line], None]:
    def behave(line: Line) -> None:
        number = line.hear()[2:4]
        head = struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        answer = number + head + _NAME + struct.pack(">HH", 1, 1) + b"".join(records)
        line.say(struct.pack(">H", len(answer)) + answer)

    return behave


def lookup(tmp_path: Path, behave: Callable[[Line], None]) -> dict[str, Any]:
    with serving(behave) as running:
        reach = reach_to(tmp_path, "http://127.0.0.1:1")
        reach.platform.addresses["n/dns:53"] = f"127.0.0.1:{running.port}"
        return instruments.names(reach, "n/dns", "n.svc")


def test_addresses_are_read_from_a_dns_answer(tmp_path: Path) -> None:
    alias = record(_NAME, kind=5)
    seen = lookup(tmp_path, dns(0, alias, record(b"\x0a\0\0\2"), record(b"\x0a\0\0\1", name=_NAME)))
    assert seen == {"code": 0, "addresses": ["10.0.0.1", "10.0.0.2"], "route": "address"}


def test_an_unknown_name_is_no_error(tmp_path: Path) -> None:
    assert lookup(tmp_path, dns(3)) == {"code": 3, "addresses": [], "route": "address"}


def silent(line: Line) -> None:
    line.wait(5)


BROKEN: dict[str, tuple[Callable[[Line], None], str]] = {
    "silent": (silent, "timeout"),
    "half": (lambda line: line.answer(b"\0\x40half"), "partial"),
    "another answer": (lambda line: line.answer(b"\0\x0c" + bytes(12)), "malformed"),
    "cut": (dns(0, record(b"\x0a\0\0\1")[:-8]), "malformed"),
    "endless name": (dns(0, b"\x3f" * 8), "malformed"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_dns_answer_is_none(tmp_path: Path, how: str) -> None:
    behave, kind = BROKEN[how]
    with pytest.raises(LookError) as caught:
        lookup(tmp_path, behave)
    assert caught.value.kind == kind


@dataclass
class Eye:
    """A lens that allows every right but one."""

    lacking: str
    trail: list[str] = field(default_factory=list)

    def look(self, question: Question) -> Answer:
        allowed = question.subject != self.lacking
        return Answer(question, "2026-11-24T10:00:00+00:00", "", {"allowed": allowed})

    def look_all(self, questions: Iterator[Question]) -> tuple[Answer, ...]:
        return tuple(map(self.look, questions))


def missing(lacking: str, *allowed: str) -> dict[str, list[str]]:
    eye: Any = Eye(lacking)
    found: Any = Instruments(eye, eye, eye, constitution_with(LAB).platform)
    result: dict[str, list[str]] = found.missing(
        constitution_with(LAB), frozenset(allowed or ("read-only",))
    )
    return result


def test_a_missing_right_is_named_with_those_who_need_it() -> None:
    assert missing("nothing") == {}
    assert "PLT-CLU-001" in missing("list nodes")["list nodes"]
    assert "PLT-RES-007" in missing("create pods in aikernel-ai")["create pods in aikernel-ai"]
    assert list(missing("get /version")) == ["get /version"]
