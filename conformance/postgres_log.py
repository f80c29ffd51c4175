"""Statements in the server's log: where it goes, and which lines are the log's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.evidence import Question
from conformance.waiting import LIMITS, wait_until

if TYPE_CHECKING:
    from conformance.evidence import Answer
    from conformance.postgres import Servers
    from conformance.postgres_roster import Member
    from conformance.postgres_session import Row

SETTINGS = """
SELECT current_setting('log_statement'), current_setting('log_connections'),
       current_setting('logging_collector') = 'on', current_setting('log_destination'),
       current_setting('lc_messages')"""
FILE = """
SELECT CASE WHEN f LIKE '/%' THEN f ELSE current_setting('data_directory') || '/' || f END
FROM pg_current_logfile() f"""
_NOTE = "aik_conformance {run}"
_WORDS = {"ddl", "mod", "all"}
_OFF = {"off", "false", "no", "0", ""}
_SINCE = 300  # seconds of a container's log that are searched
_LOGGED = re.compile(  # as plain text, as CSV, as JSON; an error repeats a statement otherwise
    r"LOG:\s+(?:statement|execute [^:]+): CREATE TABLE"
    r"|,LOG,\w{5},\"(?:statement|execute [^:]+): CREATE TABLE"
    r"|\"error_severity\":\s*\"LOG\".*\"message\":\s*\"(?:statement|execute [^:]+): CREATE TABLE"
)


@dataclass(frozen=True)
class Logging:
    """How a session logs."""

    statements: str
    connections: str
    collected: bool
    destination: str
    language: str

    @property
    def of_statements(self) -> bool:
        """Say whether changes of the schema are logged."""
        return self.statements in _WORDS

    @property
    def of_connections(self) -> bool:
        """Say whether connections are logged."""
        return self.connections.lower() not in _OFF

    @property
    def readable(self) -> bool:
        """Say whether a log line of the server reads in English."""
        return self.language.partition(".")[0] in {"", "C", "POSIX"} or self.language[:2] == "en"

    @property
    def told(self) -> str:
        """Return the settings in words."""
        return f"log_statement = {self.statements}, log_connections = {self.connections}"


def logging_of(row: Row) -> Logging:
    """Return the logging that the row of `SETTINGS` shows."""
    return Logging(*row)


def mark(servers: Servers, member: Member) -> Any:  # noqa: ANN401 - JSON
    """Make and drop a canary table as the application; return what the server said of it."""
    arguments = {
        **servers.way(servers.declared.application),
        "target": member.target.way,
        "schema": servers.declared.canary_schema,
        "note": _NOTE,
    }
    return servers.lens.look(Question("postgres.mark", member.ref, arguments)).value


def logged(servers: Servers, member: Member, logging: Logging) -> tuple[bool | None, str]:
    """Return whether the statement of `mark` stands in the log, and what was seen.

    None: the place where the log goes cannot be read by this suite.
    """
    question = _question(servers, member, logging)
    if isinstance(question, str):
        return None, question

    def there(answer: Answer) -> bool:
        return any(_LOGGED.search(one) for one in _lines(answer))

    answer = wait_until(servers.lens, question, there, limit=LIMITS.logged, interval=2)
    if answer.error is not None:
        return None, answer.reason
    lines = _lines(answer)
    seen = lines[0] if lines else "no line of the log holds the statement"
    if lines and not there(answer) and not logging.readable:
        return None, f"the log is not in English (lc_messages = {logging.language}): {seen}"
    return there(answer), seen


def _question(servers: Servers, member: Member, logging: Logging) -> Question | str:
    """Return how to find the lines, or why there is no way."""
    pod = member.target.way["pod"]
    containers = [one["name"] for one in member.item["spec"]["containers"]]
    declared = servers.platform.workload(servers.declared.workload).container
    container = declared if declared in containers else containers[0]
    if not logging.collected:
        if "stderr" not in logging.destination and "log" not in logging.destination:
            return f"the log goes to {logging.destination}"
        arguments = {"pod": pod, "container": container, "marker": _NOTE, "since": _SINCE}
        return Question("postgres.log", member.ref, arguments)
    rows = servers.ask(member, FILE).results[0].table
    if not rows or not rows[0][0]:
        return "the server names no current log file"
    command = ["grep", "-h", "-F", "-e", _NOTE, str(rows[0][0])]
    arguments = {
        "namespace": pod["namespace"],
        "pod": pod["name"],
        "container": container,
        "command": command,
    }
    return Question("streams.exec", member.ref, arguments)


def _lines(answer: Answer) -> list[str]:
    if answer.error is not None:
        return []
    value = answer.content
    lines = value if isinstance(value, list) else str(value["stdout"]).splitlines()
    return [str(one) for one in lines]
