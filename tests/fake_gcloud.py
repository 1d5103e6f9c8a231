"""An emulator of the Google Cloud CLI: it keeps in a JSON file what was made, and writes down each command.

It is started as ``gcloud`` by the tests. A command that it does not know, or that makes what is there or takes away
what is not, is a complaint: it is written down as well, and no test passes over one.
"""

# ruff: noqa: T201

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

HOME = Path(os.environ.get("FAKE_GCLOUD", "."))
NUMBER = "123456789012"


def refuse(words: str) -> NoReturn:
    print(words, file=sys.stderr)
    sys.exit(1)


def complain(words: str) -> NoReturn:
    with (HOME / "complaints").open("a", encoding="utf-8") as file:
        file.write(f"{words}\n")
    refuse(words)


class World:
    """What there is: kind -> name -> facts. Members are facts as well: "role member"."""

    def __init__(self) -> None:
        self.file = HOME / "world.json"
        self.kinds: dict[str, dict[str, dict[str, Any]]] = (
            json.loads(self.file.read_text()) if self.file.exists() else {}
        )

    def save(self) -> None:
        self.file.write_text(json.dumps(self.kinds, indent=1))

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.kinds.setdefault(kind, {})

    def get(self, kind: str, name: str) -> dict[str, Any]:
        if name not in self.of(kind):
            refuse(f"ERROR: (gcloud) NOT_FOUND: {kind} {name} was not found.")
        return self.of(kind)[name]

    def make(self, kind: str, name: str, facts: dict[str, Any]) -> None:
        if name in self.of(kind):
            complain(f"ALREADY_EXISTS: {kind} {name}")
        self.of(kind)[name] = facts


KINDS = ("projects", "services", "iam service-accounts", "secrets versions", "secrets", "tasks queues", "run services",
         "run", "scheduler jobs", "storage buckets", "storage", "logging metrics", "alpha monitoring policies",
         "beta monitoring channels", "monitoring dashboards")  # fmt: skip


def main(arguments: list[str]) -> None:
    words = [a for a in arguments if not a.startswith("--")]
    given = {name: value for name, _, value in (a[2:].partition("=") for a in arguments if a.startswith("--"))}
    sent = sys.stdin.read() if given.get("data-file") == "-" else ""
    with (HOME / "commands.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({"argv": arguments, "stdin": sent}) + "\n")
    if (bad := os.environ.get("FAKE_GCLOUD_FAILS")) and bad in " ".join(arguments):
        refuse("ERROR: (gcloud) PERMISSION_DENIED: you may not do this.")
    passing = HOME / "fail_times"
    times = json.loads(passing.read_text()) if passing.exists() else {}
    for what, left in times.items():
        if what in " ".join(arguments) and left:
            passing.write_text(json.dumps({**times, what: left - 1}))
            refuse("ERROR: (gcloud) PERMISSION_DENIED: the account does not have access yet.")
    kind = next((k for k in KINDS if words[: len(k.split())] == k.split()), "")
    verb, *rest = words[len(kind.split()) :] or [""]
    world = World()
    do(world, kind, verb, rest, given, sent)
    world.save()


def do(world: World, kind: str, verb: str, rest: list[str], given: dict[str, str], sent: str) -> None:
    name = rest[-1] if rest else ""
    if verb in ("get-iam-policy", "add-iam-policy-binding", "remove-iam-policy-binding"):
        policy(world, kind, verb, name, given)
        return
    match kind, verb:
        case "projects", "describe":
            print(world.get(kind, name)["number"])
        case "services", "list":
            print("\n".join(world.of("apis")))
        case "services", "enable":
            world.of("apis").update({api: {} for api in rest})
        case "iam service-accounts", "create":
            email = f"{name}@{given['project']}.iam.gserviceaccount.com"
            world.make(kind, email, {"description": given.get("description", "")})
        case "iam service-accounts", "list":
            print("\n".join(f"{email}\t{facts['description']}" for email, facts in world.of(kind).items()))
        case "secrets", "create":
            world.make(kind, name, {"versions": [sent], "labels": given["labels"]})
        case "secrets versions", "add":
            world.get("secrets", name)["versions"].append(sent)
        case "secrets versions", "list":
            print("\n".join(str(n + 1) for n in range(len(world.get("secrets", name)["versions"]))))
        case "secrets versions", "access":
            print(world.get("secrets", given["secret"])["versions"][-1], end="")
        case "secrets", "list":
            print("\n".join(f"{n}\t{facts['labels'].partition('=')[2]}" for n, facts in world.of(kind).items()))
        case "tasks queues", "create":
            world.make(kind, name, given)
        case "tasks queues", "update":
            world.get(kind, name).update(given)
        case "tasks queues", "describe":
            q = world.get(kind, name)
            rate = f"{float(q['max-dispatches-per-second']):.1f}"
            retry = (q["max-attempts"], q["min-backoff"], q["max-backoff"], q["max-doublings"])
            print("\t".join([q["max-concurrent-dispatches"], rate, *retry]))
        case "run", "deploy":
            run_deploy(world, name, given)
        case "run services", "describe":
            run_describe(world.get(kind, name), name, given)
        case "scheduler jobs", "create" | "update":
            if verb == "update":
                world.get(kind, name)
                world.of(kind).pop(name)
            world.make(kind, name, given)
        case "scheduler jobs", "describe":
            job = world.get(kind, name)
            print(job["schedule"], job["time-zone"], job["uri"], sep="\t")
        case "storage buckets", "create":
            world.make(kind, name, given)
        case "storage", "rm":
            world.get("storage buckets", name)
            del world.of("storage buckets")[name]
            world.kinds["members"].pop(f"storage buckets {name}", None)
        case "scheduler jobs", "list":
            print("\n".join(f"{n}\t{j['oidc-service-account-email']}" for n, j in world.of(kind).items()))
        case "logging metrics", "describe":
            metric = world.get(kind, name)
            print(metric["filter"] if "filter" in given["format"] else name)
        case "logging metrics", "create" | "update":
            text = Path(given["config-from-file"]).read_text()
            world.of(kind)[name] = {"filter": text.partition("filter: ")[2].splitlines()[0]}
        case "alpha monitoring policies" | "beta monitoring channels" | "monitoring dashboards", "create" | "update":
            watched(world, kind, name if verb == "update" else "", given)
        case "alpha monitoring policies" | "beta monitoring channels" | "monitoring dashboards", "list":
            wanted = given.get("filter", "").partition("=")[2]
            columns = given["format"].removeprefix("value(").removesuffix(")").split(",")
            for one in world.kinds.get(kind, {}).values():
                if not wanted or one["userLabels.owox-tiktok"] == wanted:
                    print("\t".join(one.get(column, "") for column in columns))
        case _, "describe":
            world.get(kind, name)
            print(name)
        case _, "delete":
            world.get(kind, name)
            del world.of(kind)[name]
            world.kinds["members"] = {k: v for k, v in world.of("members").items() if k != f"{kind} {name}"}
        case _:
            complain(f"unknown: {kind} {verb}")


def watched(world: World, kind: str, name: str, given: dict[str, str]) -> None:
    """Make or change what Cloud Monitoring keeps: its names are Google's."""
    file = given.get("policy-from-file") or given.get("config-from-file")
    facts = json.loads(Path(file).read_text()) if file else {"displayName": given["display-name"]}
    labels = dictionary(given.get("user-labels") or given.get("update-user-labels") or "")
    name = name or f"projects/p/{kind.rsplit(maxsplit=1)[-1]}/{len(world.of(kind)) + 1}"
    told = given.get("notification-channels") or given.get("set-notification-channels") or ""
    if any(channel not in world.of("beta monitoring channels") for channel in told.split(",") if channel):
        complain(f"no such channel: {told}")
    world.of(kind)[name] = {
        "displayName": facts["displayName"],
        "name": name,
        "told": told,
        "conditions": json.dumps(facts.get("conditions") or facts.get("mosaicLayout") or ""),
        **{f"userLabels.{label}": value for label, value in labels.items()},
        **{f"labels.{label}": value for label, value in dictionary(given.get("channel-labels", "")).items()},
    }
    print(name)


def policy(world: World, kind: str, verb: str, name: str, given: dict[str, str]) -> None:
    world.get(kind, name)
    members = world.of("members").setdefault(f"{kind} {name}", {})
    entry = f"{given.get('role')} {given.get('member')}"
    if verb == "get-iam-policy":
        print("\n".join(m.replace(" ", "\t") for m in members))
    elif verb == "add-iam-policy-binding":
        account = given["member"].removeprefix("serviceAccount:")
        if account.endswith("@my-project.iam.gserviceaccount.com") and account not in world.of("iam service-accounts"):
            complain(f"no such account: {account}")
        members[entry] = True
    elif members.pop(entry, None) is None:
        complain(f"no such binding: {entry}")


def dictionary(text: str, between: str = ",") -> dict[str, str]:
    return {name: value for name, _, value in (pair.partition("=") for pair in text.split(between))}


def run_deploy(world: World, name: str, given: dict[str, str]) -> None:
    service = world.of("run services").setdefault(name, {"env": {}})
    for variable in given.get("remove-env-vars", "").split(","):
        service["env"].pop(variable, None)
    pairs = given["update-env-vars"]
    assert pairs.startswith("^|^")
    service["env"].update(dictionary(pairs[3:], "|"))
    service["secrets"] = dictionary(given["set-secrets"])
    for secret in service["secrets"].values():
        reader = f"roles/secretmanager.secretAccessor serviceAccount:{given['service-account']}"
        if reader not in world.of("members").get(f"secrets {secret.split(':')[0]}", {}):
            complain(f"{given['service-account']} may not read {secret}")
    service["labels"] = dictionary(given["update-labels"])
    if "set-custom-audiences" in given:
        service["audiences"] = given["set-custom-audiences"].split(",")
    if "clear-custom-audiences" in given:
        service["audiences"] = []
    service["url"] = f"https://{name}-{NUMBER}.{given['region']}.run.app"
    service["options"] = given


def run_describe(service: dict[str, Any], name: str, given: dict[str, str]) -> None:
    match given["format"]:
        case "json":
            print(json.dumps(service))
        case "value(metadata.labels.owox-digest)":
            print(service["labels"]["owox-digest"])
        case "value(status.url,metadata.annotations)":
            print(service["url"], "run.googleapis.com/urls=[…]", sep="\t")
        case "value(metadata.name)":
            print(name)
        case other:
            complain(f"unknown format {other}")


if __name__ == "__main__":
    main(sys.argv[1:])
