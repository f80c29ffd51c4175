"""The lens: the only eye of the suite. What it sees is JSON in files.

A view asks a `Question`. The recorder lets `conformance.live` look once,
redacts the answer, writes it and returns what it reads back; the replayer reads
the same files and never looks. Both share every line after that, so a recorded
run and its replay cannot disagree. An answer may be an error: it is evidence
like any other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Json = Any
_PROBE_THREADS = 16
_SLUG = re.compile(r"[^A-Za-z0-9._-]+")


def canonical(value: Json) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True)
class Question:
    """One way of looking at one thing.

    `probe` is `<view>.<verb>` and names a function of `conformance.live`;
    `arguments` are its JSON arguments. Credentials appear by name only, and the
    run's own id as `{run}`, so that the same question has the same digest in
    every run. `attempt` tells repeated looks apart.
    """

    probe: str
    subject: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    vantage: str = "runner"
    attempt: int = 0

    def as_json(self) -> dict[str, Json]:
        """Return the question with plain JSON values."""
        return {
            "probe": self.probe,
            "subject": self.subject,
            "arguments": dict(self.arguments),
            "vantage": self.vantage,
            "attempt": self.attempt,
        }

    @property
    def digest(self) -> str:
        """Return 16 hex digits that identify the question."""
        return hashlib.sha256(canonical(self.as_json()).encode()).hexdigest()[:16]

    @property
    def path(self) -> str:
        """Return where the answer is kept, relative to the run's folder."""
        view, _, verb = self.probe.partition(".")
        slug = _SLUG.sub("_", self.subject)[:80] or "_"
        return f"evidence/{view}/{verb}/{slug}-{self.digest}.json"


class LookError(OSError):
    """A look that gave no answer. `kind` is one word of `KINDS`; `detail` is JSON.

    A refusal that a control asks for (an alert, an SQLSTATE) is an answer, not
    an error: probes return it as a value.
    """

    KINDS = frozenset(
        {
            "forbidden",  # the suite's own identity lacks a right
            "unauthorized",  # the suite's own identity is not accepted
            "not-found",  # the API says there is no such object
            "kind-unknown",  # the API does not serve this kind
            "timeout",  # no answer within the limit
            "unreachable",  # no connection: refused, reset, no route, no such name
            "no-credentials",  # the credential is not to be had
            "no-route",  # no allowed way leads there from this vantage
            "partial",  # an answer that stopped half-way
            "malformed",  # an answer that is not what the protocol says
            "not-enabled",  # the class of this probe was not allowed in this run
            "crash",  # the probe itself failed
        }
    )

    def __init__(self, kind: str, message: str, detail: Json = None) -> None:
        """Keep kind, message and detail; refuse a kind that is not listed."""
        if kind not in self.KINDS:
            raise ValueError(f"unknown kind of look error: {kind}")
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.detail = detail


@dataclass(frozen=True)
class Answer:
    """What a look gave: a value, or an error (`kind`, `message`, `detail`)."""

    question: Question
    taken_at: str
    path: str
    content: Json = None
    error: Mapping[str, Json] | None = None

    @property
    def value(self) -> Json:
        """Return the value; raise `UndecidedError` with the reason where there is none."""
        if self.error is None:
            return self.content
        raise UndecidedError(self.reason, (self.path,))

    @property
    def kind(self) -> str:
        """Return the kind of the error, or an empty string."""
        return "" if self.error is None else str(self.error["kind"])

    @property
    def reason(self) -> str:
        """Return one sentence that says why there is no value."""
        if self.error is None:
            return ""
        return (
            f"{self.question.probe} {self.question.subject}: {self.kind}: {self.error['message']}"
        )

    @property
    def time(self) -> datetime:
        """Return when the look was taken (UTC, aware)."""
        return datetime.fromisoformat(self.taken_at)


class Lens(Protocol):
    """Looks at things. `trail` lists the evidence files of all looks so far."""

    trail: list[str]

    def look(self, question: Question) -> Answer:
        """Answer one question, from what was seen before where possible."""
        ...

    def look_all(self, questions: Iterable[Question]) -> tuple[Answer, ...]:
        """Answer many questions side by side, in the order asked."""
        ...

    def pause(self, seconds: float) -> None:
        """Let time pass before another look."""
        ...


class _Reader:
    """What recorder and replayer have in common: reading, remembering, leaving a trail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trail: list[str] = []
        self._known: dict[str, Answer] = {}

    def look(self, question: Question) -> Answer:
        answer = self._find(question)
        self.trail.append(answer.path)
        return answer

    def look_all(self, questions: Iterable[Question]) -> tuple[Answer, ...]:
        wanted = tuple(questions)
        if len(wanted) > 1:
            with ThreadPoolExecutor(_PROBE_THREADS) as pool:
                list(pool.map(self._find, wanted))
        return tuple(self.look(one) for one in wanted)

    def _find(self, question: Question) -> Answer:
        found = self._known.get(question.path)
        if found is None:
            found = self._fetch(question)
            self._known[question.path] = found
        return found

    def _fetch(self, question: Question) -> Answer:
        raise NotImplementedError

    def _read(self, question: Question) -> Answer:
        path = self.folder / question.path
        record = json.loads(path.read_text(encoding="utf-8"))
        return Answer(
            question=question,
            taken_at=record["taken_at"],
            path=question.path,
            content=record.get("value"),
            error=record.get("error"),
        )


class Replayer(_Reader):
    """Answers from the evidence of an earlier run; what was not seen then stays unseen."""

    def pause(self, seconds: float) -> None:
        """Do nothing: the times are in the evidence."""

    def _fetch(self, question: Question) -> Answer:
        try:
            return self._read(question)
        except FileNotFoundError:
            error = {
                "kind": "unreachable",
                "message": "the recorded evidence does not answer this question",
                "detail": None,
            }
            return Answer(question, _NEVER, question.path, error=error)


_NEVER = "1970-01-01T00:00:00+00:00"


class Recorder(_Reader):
    """Looks once per question and run, whatever the number of tests and workers.

    `ask` is `conformance.live`'s way of answering (a JSON value, or `LookError`),
    `redact` takes secrets out of JSON, `now` gives the time as ISO 8601 in UTC,
    `sleep` lets seconds pass. Workers share the folder: a lock per question
    makes the first of them look and the others read.
    """

    def __init__(
        self,
        folder: Path,
        ask: Callable[[Question], Json],
        redact: Callable[[Json], Json],
        now: Callable[[], str],
        sleep: Callable[[float], None],
    ) -> None:
        """Keep the ways of looking; nothing is looked at yet."""
        super().__init__(folder)
        self._ask = ask
        self._redact = redact
        self._now = now
        self.pause = sleep

    def _fetch(self, question: Question) -> Answer:
        path = self.folder / question.path
        path.parent.mkdir(parents=True, exist_ok=True)
        locks = self.folder / "locks"
        locks.mkdir(exist_ok=True)
        with (locks / question.digest).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                asked = {"question": question.as_json(), "taken_at": self._now()}
                # A question names credentials and holds none. It stays as it was asked, or
                # nobody could find its answer again; the sweep of the run looks at it too.
                write_whole(path, canonical(asked | self._redact(self._answer(question))))
        return self._read(question)

    def _answer(self, question: Question) -> dict[str, Json]:
        record: dict[str, Json] = {}
        try:
            record["value"] = self._ask(question)
        except LookError as error:
            record["error"] = {
                "kind": error.kind,
                "message": error.message,
                "detail": error.detail,
            }
        except Exception as error:  # noqa: BLE001 - a probe that breaks proves nothing, and is evidence
            message = f"{type(error).__name__}: {error}"
            record["error"] = {"kind": "crash", "message": message, "detail": None}
        return record


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader finds all of it or none of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def manifest(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every evidence file below a run's folder, by relative path."""
    files = sorted(one for one in (folder / "evidence").rglob("*.json") if one.is_file())
    return {
        str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files
    }
