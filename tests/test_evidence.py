"""Looking once, recording errors, sharing between workers, and replaying without looking."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conformance.evidence import LookError, Question, Recorder, Replayer
from conformance.verdict import UndecidedError
from conformance.waiting import wait_until
from fixtures.session import clock

PODS = Question("kubernetes.list", "pods", {"kind": "pods"})


class Eye:
    """Answers from a table and counts the looks; a table entry that is an error is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.looks: list[Question] = []
        self.seconds = 0.0

    def ask(self, question: Question) -> Any:
        self.looks.append(question)
        answer = self.answers[question.subject]
        if callable(answer):
            answer = answer(question)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def now(self) -> str:
        return f"2026-11-24T10:{int(self.seconds) // 60:02}:{self.seconds % 60:06.3f}+00:00"

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def recorder(self, folder: Path) -> Recorder:
        return Recorder(folder, self.ask, lambda value: value, self.now, self.sleep)


def test_each_question_is_looked_at_once(tmp_path: Path) -> None:
    eye = Eye(pods=[1, 2])
    recorder = eye.recorder(tmp_path)
    assert [recorder.look(PODS).value for _ in range(3)] == [[1, 2]] * 3
    assert len(eye.looks) == 1
    assert recorder.trail == [PODS.path] * 3


def test_workers_share_one_look(tmp_path: Path) -> None:
    eye = Eye(pods=[1])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: eye.recorder(tmp_path).look(PODS).value, range(24)))
    assert answers == [[1]] * 24
    assert len(eye.looks) == 1


@pytest.mark.parametrize("kind", sorted(LookError.KINDS))
def test_an_error_is_evidence_and_never_a_value(tmp_path: Path, kind: str) -> None:
    eye = Eye(pods=LookError(kind, "said why", {"status": 403}))
    for lens in (eye.recorder(tmp_path), Replayer(tmp_path)):
        answer = lens.look(PODS)
        assert (answer.kind, answer.content) == (kind, None)
        with pytest.raises(UndecidedError, match="said why") as caught:
            _ = answer.value
        assert caught.value.evidence == (PODS.path,)


def test_a_probe_that_breaks_is_recorded_as_such(tmp_path: Path) -> None:
    answer = Eye(pods=ZeroDivisionError("oh")).recorder(tmp_path).look(PODS)
    assert (answer.kind, "ZeroDivisionError" in answer.reason) == ("crash", True)


def test_a_replay_never_looks_and_does_not_invent(tmp_path: Path) -> None:
    Eye(pods=[1]).recorder(tmp_path).look(PODS)
    replayer = Replayer(tmp_path)
    assert replayer.look(PODS).value == [1]
    with pytest.raises(UndecidedError, match="does not answer"):
        _ = replayer.look(Question("kubernetes.list", "nodes", {"kind": "nodes"})).value


def test_questions_that_differ_never_share_an_answer() -> None:
    others = [
        Question("kubernetes.list", "pods", {"kind": "pods"}, attempt=1),
        Question("kubernetes.list", "pods", {"kind": "pods"}, vantage="rogue"),
        Question("kubernetes.list", "pods", {"kind": "nodes"}),
        Question("kubernetes.get", "pods", {"kind": "pods"}),
        Question("kubernetes.list", "pods/", {"kind": "pods"}),
    ]
    assert len({one.path for one in [PODS, *others]}) == len(others) + 1


@pytest.mark.parametrize("subject", ["../../etc/passwd", "a/b", "\x00", "x" * 5000, "", "\u202e"])
def test_a_subject_cannot_lead_out_of_the_run(subject: str) -> None:
    path = Path(Question("kubernetes.get", subject).path)
    assert len(path.parts) == 4
    assert len(path.name) < 120


def test_waiting_looks_again_and_a_replay_decides_alike(tmp_path: Path) -> None:
    eye = Eye(lag=lambda question: question.attempt)
    question = Question("postgres.session", "lag")
    live = wait_until(eye.recorder(tmp_path), question, lambda a: a.content >= 3, limit=60)
    replayed = wait_until(Replayer(tmp_path), question, lambda a: a.content >= 3, limit=60)
    assert live.content == replayed.content == 3
    assert [one.attempt for one in eye.looks] == [0, 1, 2, 3]


def test_waiting_ends_at_its_limit_live_and_replayed(tmp_path: Path) -> None:
    eye = Eye(lag=lambda question: question.attempt)
    question = Question("postgres.session", "lag")
    live = wait_until(eye.recorder(tmp_path), question, lambda _: False, limit=5)
    replayed = wait_until(Replayer(tmp_path), question, lambda _: False, limit=5)
    assert live.content == replayed.content == 5


def test_a_clock_that_is_set_back_does_not_end_a_wait(tmp_path: Path) -> None:
    eye = Eye(pods=lambda question: question.attempt)
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    wall = iter([noon, noon.replace(hour=11)])  # whoever asks it twice is led astray
    now = clock(lambda: next(wall), lambda: eye.seconds)
    recorder = Recorder(tmp_path, eye.ask, lambda value: value, now, eye.sleep)
    answer = wait_until(recorder, PODS, lambda one: one.value == 3, limit=10)
    assert (answer.value, answer.taken_at) == (3, "2026-11-24T12:00:03.000+00:00")
