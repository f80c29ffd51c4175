"""Say before a run which cases the present rights will leave undecided.

Asks the API, right by right, whether the suite's own identity has what the
active controls of the profile need. Changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from conformance.commands.common import (
    add_cluster_options,
    add_map_options,
    constitution_of,
    print_json,
    refuse,
)
from conformance.commands.rbac import names, needed, places
from conformance.evidence import LookError
from conformance.judgement import CONFORMANT, PROFILES, UNDECIDED

if TYPE_CHECKING:
    import argparse

    from conformance.constitution import Constitution, Right
    from conformance.live.reach import Reach

EPILOG = """\
exit codes: 0 nothing is missing · 3 something is · 64 the cluster cannot be asked
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `preflight`."""
    add_map_options(parser)
    add_cluster_options(parser)
    parser.add_argument("--profile", choices=tuple(PROFILES), default="gate", help="%(default)s")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(options: argparse.Namespace) -> int:
    """Ask for every right once; print what is missing and whom it leaves undecided."""
    from conformance.live.reach import Reach

    constitution = constitution_of(options)
    wanted: dict[tuple[str, Right, str], set[str]] = defaultdict(set)
    for control, right in needed(constitution, options.profile):
        for verb in right.verbs:
            for place in places(right, constitution):
                wanted[verb, right, place].add(control.id)
    reach = Reach(
        constitution.platform, options.kubeconfig, options.context, None, "preflight", frozenset()
    )
    try:
        missing = _missing(reach, wanted, constitution)
    except LookError as error:
        refuse(f"the cluster cannot be asked: {error}")
    lost = sorted({control for controls in missing.values() for control in controls})
    if options.json:
        print_json(
            {"missing": {key: sorted(value) for key, value in missing.items()}, "undecided": lost}
        )
    elif not missing:
        print(
            f"nothing is missing: all {len(wanted)} rights "
            f"of the profile {options.profile} are there"
        )
    else:
        for key, controls in sorted(missing.items()):
            print(f"missing: {key:<50} leaves undecided: {', '.join(sorted(controls))}")
        print("grant them with: conformance rbac --bind NAMESPACE/ACCOUNT | kubectl apply -f -")
    return UNDECIDED if missing else CONFORMANT


def _missing(
    reach: Reach, wanted: dict[tuple[str, Right, str], set[str]], constitution: Constitution
) -> dict[str, set[str]]:
    from conformance.live import kubernetes

    def allowed(key: tuple[str, Right, str]) -> bool:
        verb, right, place = key
        if right.url:
            return kubernetes.may_url(reach, right.url, verb)["allowed"] is True
        resource, _, part = right.resource.partition("/")
        attributes = {"verb": verb, "group": right.group, "resource": resource, "namespace": place}
        attributes["subresource"] = part
        return all(
            kubernetes.may(reach, attributes | ({"name": name} if name else {}))["allowed"] is True
            for name in names(right, constitution, place)
        )

    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(wanted, pool.map(allowed, wanted), strict=True))
    return {
        f"{verb} {right.url or right.resource}" + (f" in {place}" if place else ""): wanted[
            verb, right, place
        ]
        for (verb, right, place), yes in answers.items()
        if not yes
    }
