"""The map: what is required, how each control decides it, and what is waived.

`load_constitution` is the only way in. It reads the map strictly (see `schema`)
and refuses what contradicts itself (see `consistency`), so that whoever holds a
`Constitution` need not check it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import date  # noqa: TC003  read at run time by the schema
from enum import StrEnum
from hashlib import sha256
from pathlib import Path  # noqa: TC003  likewise

from conformance.consistency import check
from conformance.platform import Platform
from conformance.schema import loads, read
from conformance.verdict import Level  # noqa: TC001  read at run time by the schema


class Severity(StrEnum):
    """How bad a violation is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Danger(StrEnum):
    """What deciding a control does to the platform."""

    READ_ONLY = "read-only"
    CANARY = "canary"
    DISRUPTIVE = "disruptive"
    LOAD = "load"


class Status(StrEnum):
    """Whether a test exists that decides the control."""

    ACTIVE = "active"
    PLANNED = "planned"


class Vantage(StrEnum):
    """Where a probe stands: the runner, or a pod of the suite and its mesh identity."""

    RUNNER = "runner"
    MEMBER = "member"
    ROGUE = "rogue"
    STRANGER = "stranger"


@dataclass(frozen=True)
class Source:
    """The document whose claims are judged; `lines` is how many it has."""

    title: str
    updated: date
    lines: int


_KINDS = {"A": "article", "L": "layer", "SM": "metric", "KL": "limitation", "RK": "risk"}


@dataclass(frozen=True)
class Article:
    """A claim that controls answer to, quoted: `text` and `mark` stand on `line` as given here.

    `undecided` says why no control decides it.
    """

    ref: str
    title: str
    text: str
    line: int
    mark: str | None = None
    undecided: str | None = None

    def __post_init__(self) -> None:
        """Refuse a reference that names no kind."""
        if not re.fullmatch(r"A\d\.\d|L\d|SM-[A-Z]\d|KL\d|RK\d", self.ref, re.ASCII):
            raise ValueError(
                f"{self.ref!r} is no reference; write one like A3.3, L2, SM-S1, KL1, RK1"
            )

    @property
    def kind(self) -> str:
        """Return article, layer, metric, limitation or risk."""
        return _KINDS[self.ref.rstrip("0123456789.").partition("-")[0]]


_VERB = "get|list|watch|create|update|patch|delete|impersonate"
_RIGHT = re.compile(
    rf"(?P<verbs>(?:{_VERB})(?:,(?:{_VERB}))*) "
    r"(?:(?P<url>/\S*)|(?P<resource>[a-z]+)(?:\.(?P<group>[a-z0-9.]+))?(?:/(?P<part>[a-z]+))?"
    r"(?: in (?P<place>[a-z0-9-]+))?)(?: if (?P<only>canary|disruptive|load))?"
)


@dataclass(frozen=True)
class Right:
    """A right at the API, as RBAC counts it: `list pods`, `create pods/eviction in platform`.

    `place` is empty for the whole cluster, `platform` for the platform's namespaces,
    `suite` for the suite's own, or a namespace. `resource` is `plural/subresource`;
    `url` is a path like `/version`, and then there is no resource. `only` is the class
    for which alone the right is needed: `delete pods in a if disruptive`.
    """

    verbs: tuple[str, ...]
    resource: str = ""
    group: str = ""
    place: str = ""
    url: str = ""
    only: str = ""

    @classmethod
    def parse(cls, text: str) -> Right:
        """Read `verbs resource[.group][/part][ in place][ if class]`, or `verbs /path`."""
        found = _RIGHT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no right; write one like: get,list pods in platform")
        got = found.groupdict(default="")
        return cls(
            verbs=tuple(got["verbs"].split(",")),
            resource="/".join(filter(None, (got["resource"], got["part"]))),
            group=got["group"],
            place=got["place"],
            url=got["url"],
            only=got["only"],
        )


@dataclass(frozen=True)
class Needs:
    """What deciding a control takes. Without one of these it is inconclusive.

    `guards` are self-checks that must hold; `components` are parts of the platform
    that must not be declared absent (`mesh`, or a workload's component).
    """

    api: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    vantages: tuple[Vantage, ...] = ()
    guards: tuple[str, ...] = ()
    components: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rights that cannot be read."""
        _ = self.rights

    @property
    def rights(self) -> tuple[Right, ...]:
        """Return `api`, read."""
        return tuple(Right.parse(one) for one in self.api)


@dataclass(frozen=True)
class Control:
    """One requirement, decided by one test. `title` is the state that holds when it passes.

    `refs` are the articles it answers to, `status_lines` lines of the status document;
    `known` is the line on which the document itself admits the violation.
    """

    id: str
    title: str
    suite: str
    severity: Severity
    levels: tuple[Level, ...]
    classes: tuple[Danger, ...]
    for_each: str
    status: Status
    refs: tuple[str, ...] = ()
    status_lines: tuple[int, ...] = ()
    needs: Needs = Needs()
    blocked_by: tuple[str, ...] = ()
    advisory: bool = False
    known: int | None = None


@dataclass(frozen=True)
class SelfCheck:
    """A check of the suite's own instruments; `why` is what its failure would falsify."""

    id: str
    title: str
    why: str
    for_each: str
    status: Status
    needs: Needs = Needs()


@dataclass(frozen=True)
class Quote:
    """Words of the status document, as they stand on `line`."""

    line: int
    text: str


@dataclass(frozen=True)
class Contradiction:
    """A place where the status document contradicts itself; reports show every quote."""

    title: str
    quotes: tuple[Quote, ...]


@dataclass(frozen=True)
class Waiver:
    """Permission to go on with one broken subject until the end of a day (UTC)."""

    control: str
    subject: str
    reason: str
    owner: str
    approved_by: str
    ticket: str
    until: date


@dataclass(frozen=True)
class Map:
    """The map as it is written."""

    version: int
    source: Source
    platform: Platform
    articles: tuple[Article, ...]
    layers: tuple[Article, ...]
    metrics: tuple[Article, ...]
    limitations: tuple[Article, ...]
    risks: tuple[Article, ...]
    contradictions: tuple[Contradiction, ...]
    self_checks: tuple[SelfCheck, ...]
    controls: tuple[Control, ...]
    waivers: tuple[Waiver, ...] = ()

    @property
    def claims(self) -> tuple[Article, ...]:
        """Return everything that controls answer to, in the order of the document's headings."""
        return self.articles + self.layers + self.metrics + self.limitations + self.risks

    @property
    def tested(self) -> tuple[Control | SelfCheck, ...]:
        """Return everything that a test decides."""
        return (*self.self_checks, *self.controls)


@dataclass(frozen=True, kw_only=True)
class Constitution(Map):
    """A map that was checked. `digest` is the SHA-256 of the texts it was read from."""

    digest: str

    def anything(self, name: str) -> Control | SelfCheck:
        """Return the control or self-check called `name`; raise KeyError if there is none."""
        for one in self.tested:
            if one.id == name:
                return one
        raise KeyError(name)

    def answering(self, ref: str) -> tuple[Control, ...]:
        """Return the controls that answer to an article, metric, limitation or risk."""
        return tuple(one for one in self.controls if ref in one.refs)


def load_constitution(path: Path, platform: Path | None, today: date) -> Constitution:
    """Read and check the map, with the platform of another file if one is named.

    Raises:
        Malformed: with file and line, for whatever cannot be relied on.
    """
    texts = [read(path)]
    found = loads(texts[0], path, Map)
    declared = found.platform
    if platform is not None:
        texts.append(read(platform))
        declared = loads(texts[1], platform, Platform)
    check(found, declared, today)
    written = {one.name: getattr(found, one.name) for one in fields(found)}
    digest = sha256("\0".join(texts).encode()).hexdigest()
    return Constitution(**written | {"platform": declared}, digest=digest)
