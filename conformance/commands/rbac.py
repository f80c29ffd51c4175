"""Print the roles that the chosen controls need, and nothing more.

Generated from the map: every right stands in the `needs` of an active control.
Apply it, bind it to the identity that runs the suite, and `conformance
preflight` finds nothing missing. No role has a wildcard. Reading the Secrets
that hold credentials is a role of its own per namespace: bind it or give the
credentials otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import yaml

from conformance.accounts import Meaning
from conformance.commands.common import add_map_options, constitution_of, print_json, refuse
from conformance.constitution import Constitution, Control, Right, SelfCheck, Status
from conformance.judgement import PROFILES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

EPILOG = """\
examples:
  conformance rbac --profile gate
  conformance rbac --bind aik-conformance/runner | kubectl apply -f -
  conformance rbac --without "list pods"        for showing what a missing right does
"""
NAME = "aik-conformance"
_TOKENS = "serviceaccounts/token"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rbac`."""
    add_map_options(parser)
    parser.add_argument("--profile", choices=tuple(PROFILES), default="audit", help="%(default)s")
    parser.add_argument(
        "--bind",
        type=account,
        metavar="NAMESPACE/ACCOUNT",
        help="also print the bindings to it",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="'VERB RESOURCE'",
        help="leave a right out",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON List, as kubectl takes")


def run(options: argparse.Namespace) -> int:
    """Print YAML documents, or one JSON List."""
    constitution = constitution_of(options)
    rights = set(granted(constitution, options.profile))
    for text in options.without:
        verb, _, resource = text.partition(" ")
        gone = {one for one in rights if (one[0], one[2]) == (verb, resource)}
        if not gone:
            refuse(f"no control of the profile needs {text!r}; see: conformance rbac")
        rights -= gone
    roles = list(_roles(rights, options.bind))
    if options.json:
        print_json({"apiVersion": "v1", "kind": "List", "items": roles})
    else:
        print(yaml.safe_dump_all(roles, sort_keys=False), end="")
    return 0


def account(text: str) -> str:
    """Return `namespace/account` as it was given; refuse half of it."""
    if not all(text.partition("/")):
        raise ValueError
    return text


def needed(constitution: Constitution, profile: str) -> Iterator[tuple[Control | SelfCheck, Right]]:
    """Yield every right that an active control of the profile names."""
    wanted = PROFILES[profile]
    for one in constitution.tested:
        if one.status is Status.ACTIVE and (
            not isinstance(one, Control) or wanted & set(one.classes)
        ):
            for right in one.needs.rights:
                if not right.only or right.only in wanted:
                    yield one, right


def granted(constitution: Constitution, profile: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield (verb, group, resource or URL, namespace), one for each single right.

    The suite itself reads the uid of `kube-system` and `/version`, for the record.
    """
    yield "get", "", "namespaces", ""
    yield "get", "", "/version", ""
    for one, right in needed(constitution, profile):
        for verb in right.verbs:
            for place in places(right, constitution):
                for name in names(right, constitution, place):
                    what = f"{right.resource}:{name}" if name else right.url or right.resource
                    yield verb, right.group, what, place
        for name in one.needs.credentials:
            secret = constitution.platform.credential(name).secret
            if secret:
                namespace, _, secret_name = secret.partition("/")
                yield "get", "", f"secrets:{secret_name}", namespace


def places(right: Right, constitution: Constitution) -> Iterable[str]:
    """Return the namespaces that a right is for; the empty one is the whole cluster."""
    match right.place:
        case "platform":
            return [one.name for one in constitution.platform.platform_namespaces]
        case "suite":
            return [NAME]
        case place:
            return [place]


def names(right: Right, constitution: Constitution, place: str) -> tuple[str, ...]:
    """Return the objects that a right is for; the empty name is all of them.

    Whoever makes tokens of any account of a namespace is any of them, administrators
    too: tokens are for the accounts that the controls try out.
    """
    if right.resource != _TOKENS:
        return ("",)
    tried = (Meaning.VIEWER, Meaning.MONITORING_VIEWER, Meaning.NAMESPACE_ADMIN)
    accounts = constitution.platform.accounts
    return tuple(one.name for one in accounts if one.namespace == place and one.meaning in tried)


def _roles(rights: set[tuple[str, str, str, str]], bind: str | None) -> Iterator[dict[str, Any]]:
    by_place: dict[tuple[str, bool], set[tuple[str, str, str]]] = defaultdict(set)
    for verb, group, resource, place in rights:
        by_place[place, resource.startswith("secrets:")].add((verb, group, resource))
    for (place, secrets), found in sorted(by_place.items()):
        name = f"{NAME}-credentials" if secrets else NAME
        kind = "Role" if place else "ClusterRole"
        meta = {"name": name, **({"namespace": place} if place else {})}
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": meta,
            "rules": list(_rules(found)),
        }
        if bind:
            yield _binding(kind, meta, bind)


def _rules(found: set[tuple[str, str, str]]) -> Iterator[dict[str, Any]]:
    grouped: dict[tuple[str, str], set[str]] = defaultdict(set)
    for verb, group, resource in found:
        grouped[group, resource].add(verb)
    for (group, resource), verbs in sorted(grouped.items()):
        kind, _, name = resource.partition(":")
        if resource.startswith("/"):
            yield {"nonResourceURLs": [resource], "verbs": sorted(verbs)}
        elif name:
            yield {
                "apiGroups": [group],
                "resources": [kind],
                "resourceNames": [name],
                "verbs": sorted(verbs),
            }
        else:
            yield {"apiGroups": [group], "resources": [resource], "verbs": sorted(verbs)}


def _binding(kind: str, meta: dict[str, str], bind: str) -> dict[str, Any]:
    namespace, _, account = bind.partition("/")
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{kind}Binding",
        "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": meta["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
