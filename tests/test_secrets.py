"""What counts as nobody's secret, as weak, as shared; and what stands where none belongs."""

from __future__ import annotations

import base64
import json
import secrets as random
from typing import Any

import pytest

from conformance.live.secrets import _surveyed
from conformance.live.texts import found_in
from conformance.secrets import Encryption, Entry, Secret, shared
from conformance.weakness import is_secret_key, placeholder, weak, within

PLACEHOLDERS = [
    ("password", "CHANGE_ME", "a placeholder"),
    ("password", "changeme123", "a placeholder"),
    ("postgres-password", "${POSTGRES_PASSWORD}", "a placeholder"),
    ("host", "${HOST}", "a placeholder"),
    ("token", "<your token>", "a placeholder"),
    ("password", "Q0hBTkdFX01F", "base64 of a placeholder"),
    ("password", "YWRtaW4=", "base64 of a well-known default"),
    ("neo4j-password", "neo4j", "a well-known default"),
    ("password", "Password123!", "a well-known default"),
    ("password", "prom-operator", "a well-known default"),
    ("redis-password", "redis-password", "its own name"),
    ("password", " ", "empty"),
    ("neo4j-user", "neo4j", ""),
    ("postgres-user", "postgres", ""),
    ("host", "db.example.org", ""),
    ("note", "", ""),
    ("password", "eW9Qm3-tVx7_RbK2pZ", ""),
]


@pytest.mark.parametrize(("key", "value", "fault"), PLACEHOLDERS)
def test_values_that_are_nobodys_secret(key: str, value: str, fault: str) -> None:
    assert placeholder(key, value) == fault


def test_a_password_like_its_user_is_its_own_name() -> None:
    assert placeholder("password", "reporting", frozenset({"reporting"})) == "its own name"


@pytest.mark.parametrize(
    ("value", "how"),
    [
        ("short", "short"),
        ("a" * 20, "guessable"),
        ("passwordpassword", "guessable"),
        ("abcdefghijklmnop", "guessable"),
        ("Password12345678!", "guessable"),
        ("qwertyuiopasdfgh", "guessable"),
    ],
)
def test_weak_values(value: str, how: str) -> None:
    assert weak(value) == how


@pytest.mark.parametrize("form", ["token_urlsafe", "token_hex"])
def test_random_values_are_strong_and_no_placeholders(form: str) -> None:
    values = [getattr(random, form)(16) for _ in range(2000)]
    assert not [one for one in values if weak(one) or placeholder("password", one)]


@pytest.mark.parametrize("key", ["password", "REDIS_PASSWORD", "apiKey", "auth-token", "dsn"])
def test_keys_of_secrets(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["username", "tls.crt", "host", "passwordFile", "token_ttl", "id"])
def test_keys_of_no_secrets(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("requirepass hunter22", ["a setting"]),
        ("# requirepass foobared", []),
        ("password: ${X}", []),
        ("password: {{ .Values.x }}", []),
        ("passwordFile: /run/x", []),
        ("existingSecret: db-credentials-1", []),
        ("secret: $slack-token", []),
        ("token_ttl: 5", []),
        ("url: postgres://a:b4nana@host/db", ["a URI with a password"]),
        ("url: postgres://a:$PASSWORD@host/db", []),
        ("image: registry/a:b@sha256:123", []),
        ("POSTGRES_PASSWORD: abc", ["a setting"]),
        ('{"password": "abc"}', ["a setting"]),
        ("CREATE ROLE x PASSWORD 'abc'", ["an SQL password"]),
        ("CREATE ROLE x PASSWORD :'abc'", []),
        ("password_encryption = scram-sha-256", []),
        ("key: AKIA" + "A" * 16, ["an AWS access key"]),
        ("-----BEGIN RSA PRIVATE " + "KEY-----", ["a private key"]),
        ("-----BEGIN CERTIFICATE-----", []),
    ],
)
def test_secrets_in_texts(text: str, kinds: list[str]) -> None:
    assert [one.kind for one in within(text)] == kinds


def test_code_holds_quoted_secrets_only() -> None:
    assert not list(within("password = os.environ['X']\ntoken = read()", code=True))
    assert [one.key for one in within("password = 'abc'", code=True)] == ["password"]


def places(kind: str, item: dict[str, Any]) -> list[str]:
    """Return the places of an object where a secret stands."""
    return [place for place, _ in found_in(kind, {"metadata": {"name": "x"}, **item})]


def test_variables_and_arguments_hold_references_only() -> None:
    def deployment(**container: Any) -> dict[str, Any]:
        return {"spec": {"template": {"spec": {"containers": [{"name": "c", **container}]}}}}

    reference = {"name": "A_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    assert not places("deployments", deployment(env=[reference]))
    assert not places("deployments", deployment(env=[{"name": "PASSWORD_FILE", "value": "/x"}]))
    assert not places("deployments", deployment(args=["--requirepass", "$(REDIS_PASSWORD)"]))
    literal = {"name": "A_PASSWORD", "value": "hunter22"}
    assert places("deployments", deployment(env=[literal])) == ["container c, variable A_PASSWORD"]
    assert places("deployments", deployment(args=["--password=hunter22"])) == ["container c, args"]
    words = ["server", "--password", "hunter22"]
    assert places("deployments", deployment(command=words)) == ["container c, command, --password"]


def test_an_annotation_may_keep_what_was_applied() -> None:
    key = "kubectl.kubernetes.io/last-applied-configuration"
    applied = json.dumps({"kind": "Secret", "stringData": {"password": "x"}})
    secret = {"metadata": {"name": "x", "annotations": {key: applied}}}
    assert places("secrets", secret) == [f"annotation {key}"]
    assert not places("secrets", {"metadata": {"name": "x", "annotations": {}}})


def survey(kind: str = "Opaque", **values: str) -> dict[str, Any]:
    """Return what may be said of a Secret with these values, by key."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    meta = {"name": "s", "namespace": "n", "annotations": {}}
    found = _surveyed({"metadata": meta, "type": kind, "data": data})
    return {one["key"]: one for one in found["entries"]}


def test_a_survey_says_nothing_of_a_value() -> None:
    value = random.token_urlsafe(24)
    found = survey(password=value, uri=f"redis://u:{value}@h/0", user="u")
    assert value not in json.dumps(found)
    assert found["password"]["digest"] == found["uri: a URI with a password"]["digest"]
    assert found["user"]["user"]
    assert not found["password"]["fault"] + found["password"]["weak"]


def test_a_survey_looks_into_files_and_leaves_certificates_alone() -> None:
    found = survey(**{"app.yaml": "db:\n  password: CHANGE_ME\n"})
    assert found["app.yaml: password"]["fault"] == "a placeholder"
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    tls = survey("kubernetes.io/tls", **{"tls.key": "short", "tls.crt": pem})
    assert not [one for one in tls.values() if one["fault"] or one["weak"]]
    empty = survey("kubernetes.io/dockerconfigjson", **{".dockerconfigjson": '{"auths":{}}'})
    assert empty[".dockerconfigjson"]["fault"] == "an empty registry credential"


def secret(name: str, namespace: str = "n", user: str = "", **values: str) -> Secret:
    """Return a Secret whose values have these digests, by key."""
    entries = [
        Entry(key.replace("_", "-"), 20, d, False, True, "", "") for key, d in values.items()
    ]
    if user:
        entries.append(Entry("user", 4, user, True, False, "", ""))
    return Secret(namespace, name, "Opaque", "", "", "", tuple(entries))


@pytest.mark.parametrize(
    ("found", "pairs"),
    [
        ([secret("a", password="1"), secret("b", password="2")], 0),
        ([secret("a", password="1"), secret("b", password="1")], 1),
        ([secret("a", password="1"), secret("a", "m", password="1")], 0),
        ([secret("a", password="1"), secret("a", "m", other_password="1")], 1),
        ([secret("a", user="u", password="1"), secret("b", user="u", password="1")], 0),
        ([secret("a", user="u", password="1"), secret("b", user="v", password="1")], 1),
        ([secret("a", password="1", postgres_password="1")], 0),
        ([secret("a", redis_password="1", sentinel_password="1")], 1),
    ],
)
def test_what_counts_as_shared(found: list[Secret], pairs: int) -> None:
    assert len(list(shared(found))) == pairs


@pytest.mark.parametrize(
    ("rules", "first"),
    [
        (((("secrets",), ("secretbox", "identity")),), "secretbox"),
        (((("secrets",), ("identity", "secretbox")),), "identity"),
        (((("configmaps",), ("secretbox",)),), ""),
        (((("*.*",), ("kms",)),), "kms"),
        (((("secrets",), ("identity",)), (("*.*",), ("kms",))), "identity"),
    ],
)
def test_the_first_rule_for_secrets_decides(rules: Any, first: str) -> None:
    assert "".join(Encryption("", rules).of_secrets[:1]) == first
