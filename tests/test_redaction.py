"""A canary in every channel and every encoding, and then every artefact is searched."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from conformance.evidence import LookError, Question, Recorder
from conformance.redaction import Redactor, described
from tests.miniature import SELF_CHECK, Miniature, build, serve_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import ThreadingHTTPServer
    from pathlib import Path

VALUE = 'canary"7/+<&>é\\ 0987'


def forms(value: str) -> dict[str, str]:
    """Return what to look for, worked out without the code under test."""
    raw = value.encode()
    aligned = {
        f"base64 at {n}": base64.b64encode(b"\0" * n + raw + b"\0" * 3).decode()[4:-8]
        for n in range(3)
    }
    return {
        "raw": value,
        "url": quote(value, ""),
        "path": quote(value),
        "json": json.dumps(value)[1:-1],
        "html": html.escape(value),
        "hex": raw.hex(),
        **aligned,
    }


def shown(text: str, value: str = VALUE) -> list[str]:
    return [name for name, form in forms(value).items() if form in text]


def leaks(folder: Path, value: str = VALUE) -> dict[str, list[str]]:
    """Return the forms of the canary by the file that shows them."""
    texts = {one: one.read_text(errors="replace") for one in folder.rglob("*") if one.is_file()}
    return {
        str(one.relative_to(folder)): hit
        for one, text in texts.items()
        if (hit := shown(text, value))
    }


@pytest.mark.parametrize("value", [VALUE, "simple-value-17", "half \udcff of one", "x" * 300])
@pytest.mark.parametrize("around", ["{}", "before{}after", "a{}", "ab {}", 'say "{}"'])
def test_no_form_of_a_value_passes(value: str, around: str) -> None:
    redactor = Redactor()
    redactor.learn(value)
    text = around.format(value)
    raw = text.encode("utf-8", "surrogatepass")
    for told in (
        text, quote(raw), quote(raw, ""), json.dumps(text), json.dumps(json.dumps(text)),
        repr(text), html.escape(text), raw.hex(), raw.hex().upper(),
        base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(),
    ):  # fmt: skip
        clean = redactor.text(told)
        assert "***" in clean, told
        assert not shown(clean, value) if "\udcff" not in value else value not in clean


def test_each_line_of_a_key_is_a_secret() -> None:
    key = "-----BEGIN X-----\nAAAABBBBCCCCDDDD\nEEEEFFFFGGGGHHHH\n-----END X-----"
    redactor = Redactor()
    redactor.learn(key)
    assert redactor.text("E   AAAABBBBCCCCDDDD\nE   EEEEFFFFGGGGHHHH").count("***") == 2


@pytest.mark.parametrize("word", ["postgres", "password", "6379", "abc", ""])
def test_a_plain_word_does_not_take_the_evidence_apart(word: str) -> None:
    redactor = Redactor()
    redactor.learn(word)
    seen = {"pod": "postgres-0", "password_encryption": "on", "port": 6379, "a": "abc"}
    assert redactor.redact(seen) == seen


PLACES = [
    {"password": "s3cret!"},
    {"DB_PASSWORD": ["s3cret!"]},
    {"token": {"of": "s3cret!"}},
    {"apiKey": ("s3cret!",)},
    {"env": [{"name": "AWS_SECRET_ACCESS_KEY", "value": "s3cret!"}]},
    {"kind": "Secret", "data": {"any": "s3cret!"}, "stringData": {"any": "s3cret!"}},
    {"type": "Opaque", "data": {"any": "s3cret!"}},
    {"kubectl.kubernetes.io/last-applied-configuration": "s3cret!"},
    {"args": ["--requirepass", "s3cret!"]},
    {"args": ["run", "--db-password=s3cret!"]},
    {"url": "amqp://user:s3cret!@host/x"},
    {"log": "-----BEGIN RSA PRIVATE KEY-----\ns3cret!\n-----END RSA PRIVATE KEY-----"},
    {"header": "Bearer eyJhbGciOiJI.eyJzM2NyZXQh.s3cret"},
]


@pytest.mark.parametrize("place", PLACES)
def test_unknown_secrets_are_hidden_by_place_and_shape(place: dict[str, object]) -> None:
    clean = json.dumps(Redactor().redact(place))
    assert "s3cret" not in clean
    assert "***" in clean


KEPT = [
    {"volumes": [{"name": "tls", "secret": {"secretName": "db-tls", "items": [{"key": "k"}]}}]},
    {"env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
    {"args": ["--requirepass", "$(REDIS_PASSWORD)", "--token=/var/run/token", "--use-token=true"]},
    {"automountServiceAccountToken": False, "imagePullSecrets": [{"name": "pull"}]},
    {"imageID": "docker-pullable://nginx:1.25@sha256:abcd", "url": "https://host:80/a@b"},
]


@pytest.mark.parametrize("kept", KEPT)
def test_what_only_names_a_secret_is_kept(kept: dict[str, object]) -> None:
    assert Redactor().redact(kept) == kept


def test_no_password_can_be_tried_on_a_digest() -> None:
    import hashlib

    assert hashlib.sha256(b"hunter22").hexdigest()[:8] not in described("hunter22")
    assert described("hunter22") == described("hunter22") != described("hunter23")


def test_a_value_in_a_tuple_is_found() -> None:
    redactor = Redactor()
    redactor.learn(VALUE)
    assert not shown(json.dumps(redactor.redact({"a": (VALUE, [(VALUE,)])})))


def test_a_value_that_is_a_number_is_found() -> None:
    redactor = Redactor()
    redactor.learn("8812667233")
    assert redactor.redact({"a": 8812667233, "b": 5, "c": None, "d": True})["b"] == 5
    assert "8812667233" not in json.dumps(redactor.redact([8812667233]))


@pytest.mark.parametrize("error", [LookError("timeout", f"said {VALUE}", [VALUE]), KeyError(VALUE)])
def test_an_error_of_a_probe_is_redacted(tmp_path: Path, error: Exception) -> None:
    redactor = Redactor()
    redactor.learn(VALUE)

    def ask(_: Question) -> None:
        raise error

    lens = Recorder(
        tmp_path, ask, redactor.redact, lambda: "2026-11-24T10:00:00+00:00", lambda _: None
    )
    assert "***" in lens.look(Question("v.p", "s")).reason
    assert not leaks(tmp_path)


def test_the_sweep_names_files_and_no_values(tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.learn(VALUE)
    run = tmp_path / "run"
    (run / "a").mkdir(parents=True)
    whole = {one: form for one, form in forms(VALUE).items() if "base64" not in one}
    for n in range(3):
        whole[f"base64 at {n}"] = base64.b64encode(b"x" * n + VALUE.encode()).decode()
    for name, form in whole.items():
        (run / "a" / name).write_text(f'{{"x":{json.dumps("pre" + form)}}}')
    (run / "fine").write_text("x")
    assert list(redactor.shown_below(run)) == sorted(f"run/a/{one}" for one in whole)


def test_the_name_of_a_file_is_searched_too(tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.learn("canary-name-77")
    (tmp_path / "x-canary-name-77.json").write_text("")
    assert "canary" not in next(iter(redactor.shown_below(tmp_path)))


CHANNELS = (
    '''
import base64, json, logging, os, sys, threading, urllib.parse, warnings
from pathlib import Path
import allure
from fixtures.platform import AUDIT

def every(value):
    """All forms of a value, in one text."""
    raw = value.encode()
    aligned = [base64.b64encode(b"x" * n + raw).decode() for n in range(3)]
    return " ".join([value, urllib.parse.quote(value, ""), json.dumps(value), raw.hex(), *aligned])

@pytest.fixture
def secret(request):
    reach = request.config.stash[AUDIT].lens._ask.__self__
    return str(reach.credentials.find("db")["password"])

def helper(given, number):
    local = every(given)
    if number == 0:
        raise RuntimeError(local) from KeyError(given)
    return helper(given, number - 1)
'''
    + SELF_CHECK
)

BODIES = {
    "compares": "assert [secret, every(secret)] == ['nothing', 'like'], every(secret)",
    "compares_maps": "assert {'a': every(secret)} == {'a': secret}",
    "raises": "helper(secret, 3)",
    "raises_at_the_cut": "raise ValueError('x' * 1990 + secret)",
    "raises_in_a_chain": (
        "try:\n    helper(secret, 1)\nexcept RuntimeError as error:\n"
        "    error.add_note(every(secret))\n    raise OSError(every(secret)) from error"
    ),
    "prints": (
        "print(every(secret))\nprint(every(secret), file=sys.stderr)\n"
        "os.write(1, every(secret).encode())\nlogging.getLogger('x').error(every(secret))\n"
        "raise ValueError"
    ),
    "warns": "warnings.warn(every(secret))",
    "skips": "pytest.skip(every(secret))",
    "expects_failure": "pytest.xfail(every(secret))",
    "fails": "pytest.fail(every(secret))",
    "records": "record_property(secret, every(secret))\nraise ValueError",
    "dumps_the_environment": "raise RuntimeError(dict(os.environ, x=every(secret)))",
    "connects": (
        "import psycopg\ntry:\n"
        "    psycopg.connect(host='127.0.0.1', port=1, user=secret, password=secret)\n"
        "except psycopg.OperationalError as error:\n"
        "    dsn = f'postgresql://u:{urllib.parse.quote(secret)}@127.0.0.1'\n"
        "    raise psycopg.OperationalError(f'{dsn} {secret}: {error}') from error"
    ),
    "in_a_thread": (
        "def run():\n    raise ValueError(every(secret))\n"
        "one = threading.Thread(target=run, name=secret)\none.start()\none.join()"
    ),
    "states": (
        "verdict.expect(False, subject=secret, claim='is ' + secret, observed=every(secret),\n"
        "               expected=every(secret), advice=every(secret), note=every(secret))"
    ),
    "cannot_decide": "verdict.undecided(subject=secret, claim='c', reason=every(secret))",
    "shows_no_argument": (
        "files = [one for one in Path('/proc').glob('[0-9]*/cmdline')]\n"
        "texts = []\n"
        "for one in files:\n    try:\n        texts.append(one.read_text(errors='replace'))\n"
        "    except OSError:\n        pass\n"
        "verdict.expect(not any(secret in text for text in texts), subject='processes',\n"
        "               claim='keep it', observed=len(texts))"
    ),
}  # fmt: skip
STEPS = (
    "with allure.step(every(secret)):\n    allure.attach(every(secret), secret)\n"
    "allure.dynamic.title(secret)\nallure.dynamic.parameter('p', every(secret))\nraise ValueError"
)


@pytest.fixture(scope="module")
def api() -> Iterator[ThreadingHTTPServer]:
    data = {"pw": base64.b64encode(VALUE.encode()).decode()}
    where = "/api/v1/namespaces/n/secrets/db"
    server = serve_api({where: {"metadata": {"name": "db"}, "data": data}})
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path, api: ThreadingHTTPServer) -> Miniature:
    """Make a project whose only credential is in a Secret: no process knows it at first."""
    return build(tmp_path / "project", api)


def leaking(project: Miniature, bodies: dict[str, str]) -> None:
    bodies = bodies or {"compares": BODIES["compares"]}
    names = {f"PLT-WL-{n:03}": one for n, one in enumerate(bodies, 1)}
    project.map(*({"id": one} for one in names))
    map_file = project.folder / "constitution_map.yaml"
    credential = "credentials: [{name: db, secret: n/db, keys: {password: pw}}]"
    map_file.write_text(map_file.read_text().replace("credentials: []", credential))
    text = CHANNELS
    for name, body in names.items():
        lines = "".join(f"    {line}\n" for line in bodies[body].splitlines())
        text += f'\n@pytest.mark.control("{name}")\n'
        text += f"def test_{body}(verdict, secret, request, record_property):\n{lines}"
    project.suite(text)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "parallel"])
def test_no_channel_shows_a_secret(project: Miniature, workers: list[str]) -> None:
    leaking(project, {**BODIES, "steps": STEPS})
    done = project.audit(*workers)
    assert done.returncode == 1, done.stdout + done.stderr
    assert not leaks(project.folder / "run")
    assert not shown(done.stdout + done.stderr)
    cases = {one["nodeid"].partition("::test_")[2]: one for one in project.entries()[1:-1]}
    assert cases["shows_no_argument"]["outcome"] == "passed"
    quiet = {
        "shows_no_argument",
        "prints",
        "in_a_thread",
        "records",
        "clock",
        "steps",
        "raises_at_the_cut",
    }
    for name in set(BODIES) - quiet:
        assert "***" in json.dumps(cases[name]), f"{name} did not carry the canary"


@pytest.mark.parametrize("style", ["auto", "long", "short", "line", "native", "no"])
def test_no_style_of_traceback_shows_a_secret(project: Miniature, style: str) -> None:
    leaking(project, BODIES)
    junit = project.folder / "beside.xml"
    done = project.pytest(
        f"--tb={style}",
        "-rA",
        "-vv",
        "-W",
        "default",
        f"--junitxml={junit}",
        "-o",
        "junit_logging=all",
    )
    assert "violated" in done.stdout, done.stdout + done.stderr
    assert not shown(done.stdout + done.stderr)
    assert "***" in junit.read_text()
    assert not leaks(project.folder / "runs")
    assert not shown(html.unescape(junit.read_text()))


def test_a_file_that_was_broken_while_collecting_is_redacted(
    project: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFORMANCE_DB_PASSWORD", VALUE)
    leaking(project, {})
    project.suite("import os\nraise ValueError(os.environ['CONFORMANCE_DB_PASSWORD'])\n")
    junit = project.folder / "beside.xml"
    done = project.pytest(f"--junitxml={junit}")
    assert "***" in done.stdout
    assert not shown(done.stdout + done.stderr + html.unescape(junit.read_text()))


def test_a_name_that_shows_a_secret_is_refused(
    project: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFORMANCE_DB_PASSWORD", "canary-in-an-id-77")
    leaking(project, {})
    mark = '@pytest.mark.parametrize("x", [__import__("os").environ["CONFORMANCE_DB_PASSWORD"]])\n'
    project.suite(SELF_CHECK.replace("def test_clock(", mark + "def test_clock(x, "))
    done = project.pytest("-v")
    assert done.returncode != 0
    assert "the id of a test" in done.stdout + done.stderr
    assert not shown(done.stdout + done.stderr, "canary-in-an-id-77")


@pytest.mark.parametrize("option", ["-s", "--capture=tee-sys", "--log-file=x", "--pdb", "--trace"])
def test_what_goes_around_the_redactor_is_refused(project: Miniature, option: str) -> None:
    done = project.pytest(option)
    assert done.returncode == 64
    assert "unredacted" in done.stdout + done.stderr


WRITES = (
    "folder = request.config.stash[AUDIT].folder / 'evidence'\nfolder.mkdir(exist_ok=True)\n"
    "(folder / 'left.json').write_text(json.dumps({'x': every(secret)}))\n"
    "verdict.expect(True, subject='s', claim='c', observed='o')"
)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "parallel"])
def test_a_file_that_shows_a_secret_spoils_the_run(project: Miniature, workers: list[str]) -> None:
    leaking(project, {"writes": WRITES})
    done = project.audit(*workers)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "run/evidence/left.json shows a credential" in said
    assert not shown(said)
    run = project.folder / "run"
    assert set(leaks(run)) == {"evidence/left.json"}
    assert [one.name for one in (run / "reports").iterdir()] == ["run.json"]


def test_what_allure_writes_beside_the_run_is_swept(project: Miniature) -> None:
    leaking(project, {"steps": STEPS})
    done = project.pytest("--alluredir", str(project.folder / "beside"))
    assert done.returncode == 2, done.stdout
    assert "shows a credential" in done.stdout
    assert not shown(done.stdout + done.stderr)


def test_a_worker_that_is_lost_takes_the_sweep_with_it(project: Miniature) -> None:
    leaking(project, {"dies": "os._exit(0)"})
    assert project.audit("-n", "2").returncode == 2
