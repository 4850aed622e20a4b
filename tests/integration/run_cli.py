#!/usr/bin/env python3
"""The command line as a person and a script meet it: words, exit codes and JSON of every verb that
reads, what a tired person mistypes, and leaving a mesh, on two nodes of loopback.

Time limit: 240 s
"""

import json
import os
import shutil
import sys
import tempfile

from lab import Tap, binary, run, skip_all, wait_for
from run_refusals import Node, refused

ADDR = {1: "127.0.0.51", 2: "127.0.0.52"}
READS = {
    "status": "parley.status.v1",
    "ready": "parley.ready.v1",
    "members": "parley.members.v1",
    "services": "parley.services.v1",
    "services api": "parley.services.v1",
    "endpoints api": "parley.endpoints.v1",
    "check": "parley.check.v1",
    "check --list": "parley.checks.v1",
    "token list": "parley.tokens.v1",
    "cert list": "parley.certs.v1",
    "config check": "parley.config-check.v1",
    "config show": "parley.config.v1",
    "config show --effective": "parley.config.v1",
    "config show --mesh": "parley.policy-texts.v1",
    "config history": "parley.config-history.v1",
    "operator list": "parley.operators.v1",
    "operator key": "parley.operator-key.v1",
    "version": "parley.version.v1",
    "help": "parley.help.v1",
}


def words(tap):
    mistyped = {
        "statsu": 'did you mean "status"?',
        "token lst": 'did you mean "token list"?',
        "config chekc": 'did you mean "config check"?',
        "config aply x": 'did you mean "config apply"?',
        "operator ad": 'did you mean "operator add"?',
        "config apply": "needs FILE...",
        "config rollback x": "parley config history",
        "operator add Bob": "is not a name",
        "members --jsno": 'did you mean "--json"?',
        "cert": "parley help cert",
        "forget": "needs NODE",
        "status now": 'unexpected "now"',
        "drain --timeout 5": "with a unit",
        "members -o json": "use --json",
    }
    for line, answer in mistyped.items():
        refused(tap, run([binary(), *line.split()]), 2, answer, f"parley {line}: {answer}")
    tree = json.loads(run([binary(), "help", "--json"]).stdout)["data"]
    bad = []
    for v in tree:
        line = [v["verb"]] + ([v["noun"]] if v["noun"] else [])
        asked = run([binary(), "help", *line])
        behind = run([binary(), *line, "--help"])
        if asked.returncode or behind.returncode or v["summary"] not in asked.stdout:
            bad.append(line)
        if any("--" + f["name"] not in behind.stdout for f in v["flags"]):
            bad.append(line)
    tap.ok(len(tree) > 20 and not bad, "each verb has its help, by both ways to ask", bad)
    one = run([binary(), "help", "token", "create"]).stdout
    tap.ok("--ttl" in one and "token revoke" not in one, "help of one noun", one)
    text = run([binary(), "help"]).stdout
    tap.ok("-o, --output" in text and "-h, --help" in text, "help shows the letters of flags", text)


def without_agent(tap, node):
    r = node.parley("status")
    refused(tap, r, 4, f"parley up --root {node.root}", "no agent: the command names this root")
    refused(tap, run([binary(), "status", "--socket", "demo.1"]), 4, "parley demo", "no demo runs")
    refused(tap, node.parley("up"), 3, "parley join TOKEN", "up without a mesh is not tried again")


def reads(tap, node):
    for line, schema in READS.items():
        r = node.parley(*line.split(), "--json")
        try:
            doc = json.loads(r.stdout)
        except ValueError:
            doc = {}
        good = doc.get("schema") == schema and "data" in doc and r.stdout.count("\n") == 1
        tap.ok(good and not r.stderr, f"{line} --json is one document", r.stdout + r.stderr)
    cert = json.loads(node.parley("cert", "list", "--json").stdout)["data"][0]
    tap.ok(
        cert["not_after"].endswith("Z") and cert["not_after_s"] > cert["not_before_s"],
        "times are RFC 3339, with seconds beside",
        cert,
    )


def filters(tap, node):
    names = lambda *argv: [
        m["node"] for m in json.loads(node.parley(*argv, "--json").stdout)["data"]
    ]
    tap.ok(names("members", "--status", "alive") == ["n1", "n2"], "--status holds for JSON too")
    tap.ok(names("members", "--status", "dead") == [], "--status dead names nobody")
    r = node.parley("members", "--status", "alvie")
    refused(tap, r, 2, "unreachable", "an unknown state is refused with the known ones")
    data = json.loads(node.parley("services", "api", "--json").stdout)["data"]
    tap.ok([s["service"] for s in data] == ["api"], "services NAME holds for JSON too", data)
    refused(tap, node.parley("services", "ap"), 1, 'did you mean "api"?', "a service mistyped")
    refused(tap, node.parley("endpoints", "qqq"), 1, "parley services", "no such service")
    ages = [m["since_s"] for m in json.loads(node.parley("members", "--json").stdout)["data"]]
    tap.ok(max(ages) < 60, "nobody is alive for longer than the mesh exists", ages)


def circuits(tap, node):
    node.write(
        '[upstream.jobs]\nlisten = "127.0.0.51:9002"\nas = "node"\n', "etc/parley/conf.d/j.toml"
    )
    r = node.parley("reload", "--wait")
    tap.ok(r.returncode == 0, "an upstream is added", r.stderr)
    r = node.parley("circuit", "reset", "jobs")
    tap.ok(r.returncode == 0 and "jobs" in r.stdout, "its circuits are reset", r.stderr)
    refused(tap, node.parley("circuit", "reset", "qqq"), 1, "qqq", "no circuits of no upstream")
    rows = json.loads(node.parley("endpoints", "api", "--json").stdout)["data"]
    tap.ok([e["circuit"] for e in rows] == ["closed"], "an endpoint shows its circuit", rows)
    rules = node.parley("config", "show", "--effective").stdout
    tap.ok("upstream.jobs.eject.after = 5   # default" in rules, "and its rules are shown")


def ejected(tap, node):
    """An endpoint that fails is ejected: endpoints, status and check say so, until a reset."""
    node.write(
        '[upstream.api]\nlisten = "127.0.0.51:9004"\nas = "node"\n'
        'retry = { tries = 1 }\neject = { after = 1, for = "1h", max = "100%" }\n',
        "etc/parley/conf.d/eject.toml",
    )
    node.parley("reload", "--wait")
    said = {}

    def looks(word):
        for verb in (["endpoints", "api"], ["status"], ["check"]):
            said[verb[0]] = node.parley(*verb).stdout
        return [verb for verb in said if word[verb] in said[verb]] == list(word)

    def fails():
        run(["curl", "-s", "-m", "5", "http://127.0.0.51:9004/"])
        return looks(
            {"endpoints": "open: consecutive", "status": ", 1 ejected", "check": ", 1 ejected by"}
        )

    tap.ok(wait_for(fails, 10), "an ejected endpoint is shown by all three", said)
    node.parley("circuit", "reset", "api")
    closed = {"endpoints": "closed", "status": "0/1 up\n", "check": "0 of 1 endpoints up\n"}
    tap.ok(wait_for(lambda: looks(closed), 10), "and by none after a reset", said)
    os.unlink(node.path("etc/parley/conf.d/eject.toml"))
    tap.ok(node.parley("reload").returncode == 0, "the upstream is gone again")


def tokens(tap, node):
    refused(tap, node.parley("token", "create", "--node", "A B"), 2, "a-z", "a bad name pattern")
    refused(tap, node.parley("token", "create", "--uses", "0"), 2, "uses", "a token without a use")
    r = node.parley("token", "create", "--node", "db-*", "-q")
    tap.ok(r.returncode == 0 and r.stdout.startswith("pj1_"), "-q prints the token alone", r.stdout)


def refusal_is_kept(tap, node):
    node.write('[upstream.api]\nlisten = "10.255.255.1:9001"\n', "etc/parley/conf.d/bad.toml")
    refused(tap, node.parley("reload"), 3, "no address of this host", "an address of elsewhere")
    os.unlink(node.path("etc/parley/conf.d/bad.toml"))
    for verb in ("status", "check"):
        said = node.parley(verb).stdout
        tap.ok("no address of this host" in said, f"{verb} tells why a reload was refused", said)
    tap.ok(node.parley("reload").returncode == 0, "the mended file is loaded")
    said = node.parley("status").stdout
    tap.ok(said.startswith("ok"), "then all is well again", said)


def named_files(tap, node):
    """The files that a host file names: what `config check` says of them, and a reload."""
    cert, key = node.path("tls.crt"), node.path("tls.key")
    node.write(
        '[upstream.api]\nlisten = "127.0.0.51:9003"\nas = "node"\n'
        f'tls = {{ cert = "{cert}", key = "{key}" }}\n',
        "etc/parley/conf.d/tls.toml",
    )
    for verb in (["config", "check"], ["reload"]):
        name = f"{' '.join(verb)} refuses a certificate that is not there"
        refused(tap, node.parley(*verb), 3, cert, name)
    node.write("no certificate", "tls.crt")
    node.write("no key", "tls.key")
    os.chmod(key, 0o600)
    r = node.parley("reload")
    refused(tap, r, 3, "no certificate in PEM", "reload refuses what is no certificate")
    os.unlink(node.path("etc/parley/conf.d/tls.toml"))
    tap.ok(node.parley("reload").returncode == 0, "and all is well without it")


def unreadable(tap, node):
    """As root, with a folder of another group: what the unit's user could not read is told."""
    if os.geteuid() != 0:
        tap.skip("config check warns of a file the agent cannot read", "needs root")
        return
    os.chown(node.path("etc/parley"), 0, 65534)
    node.write("", "etc/parley/conf.d/closed.toml")
    os.chmod(node.path("etc/parley/conf.d/closed.toml"), 0o600)
    r = node.parley("config", "check")
    refused(tap, r, 0, "chmod g+r", "config check warns of a file the agent cannot read")
    os.unlink(node.path("etc/parley/conf.d/closed.toml"))
    os.chown(node.path("etc/parley"), 0, 0)


def handed_over(tap, folder):
    """init as root gives the state to the owner of its folder, as tmpfiles.d made it."""
    if os.geteuid() != 0:
        tap.skip("init hands its files to the folder's owner", "needs root")
        return
    node = Node(folder, 9)
    etc, state = node.path("etc/parley"), node.path("var/lib/parley")
    os.makedirs(etc, 0o750)
    os.makedirs(state, 0o700)
    os.chown(etc, 0, 65534)
    os.chown(state, 65534, 65534)
    r = node.parley("init", "--mesh", "shop", "--addr", "127.0.0.59", "--node", "n9")
    wrong = [
        os.path.join(d, f)
        for d, subs, files in os.walk(state)
        for f in subs + files
        if os.lstat(os.path.join(d, f)).st_uid != 65534
    ]
    config = os.stat(os.path.join(etc, "parley.toml"))
    tap.ok(r.returncode == 0 and not wrong, "init hands its files to the folder's owner", wrong)
    tap.ok(
        (config.st_uid, config.st_gid, config.st_mode & 0o777) == (0, 65534, 0o640),
        "the host file is root's, and its group may read it",
        config,
    )
    refused(
        tap,
        node.parley("init", "--mesh", "shop", "--addr", "127.0.0.59"),
        1,
        "CA key",
        "init over a signer says what the folder holds",
    )


def leaving(tap, one, two):
    state = lambda: [
        m["status"]
        for m in json.loads(one.parley("members", "--json").stdout)["data"]
        if m["node"] == "n2"
    ]
    refused(tap, one.parley("forget", "n2"), 10, "is alive", "forget of a live member")
    refused(tap, one.parley("forget", "n7"), 1, "parley members", "forget of nobody")
    r = two.parley("drain")
    tap.ok(r.returncode == 0, "drain", r.stderr)
    tap.ok(wait_for(lambda: state() == ["draining"], 5), "the others see it drain", state())
    rows = one.parley("members").stdout
    tap.ok("draining  " in rows, "draining says nothing of how long it has been alive", rows)
    r = two.parley("leave")
    tap.ok(r.returncode == 0 and "left" in r.stdout, "leave", r.stdout + r.stderr)
    refused(tap, two.parley("status"), 4, "parley up", "leave returns when the agent has stopped")
    ended = wait_for(lambda: two.process.poll() is not None, 5)
    tap.ok(ended and two.process.returncode == 0, "with status 0: the unit lets it rest")
    tap.ok(wait_for(lambda: state() == ["left"], 5), "the others see that it left", state())
    tap.ok(one.parley("forget", "n2").returncode == 0 and state() == [], "who left is forgotten")


def main():
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="parley-cli-")
    one, two = Node(folder, 1), Node(folder, 2)
    try:
        words(tap)
        without_agent(tap, one)
        handed_over(tap, folder)
        r = one.parley("init", "--mesh", "shop", "--node", "n1", "--addr", ADDR[1])
        if tap.ok(r.returncode == 0 and one.up(), "the first node is up", r.stderr):
            token = one.parley("token", "create", "-q").stdout.strip()
            two.parley("join", token, "--node", "n2", "--addr", ADDR[2])
            two.write('[service.api]\nlocal = "127.0.0.52:8081"\nallow = ["node:n1"]\n')
            tap.ok(two.up(), "the second node is up", two.said())
            known = lambda: one.parley("endpoints", "api").returncode == 0
            tap.ok(wait_for(known, 10), "the first node knows the service of the second")
            reads(tap, one)
            filters(tap, one)
            circuits(tap, one)
            ejected(tap, one)
            tokens(tap, one)
            refusal_is_kept(tap, one)
            named_files(tap, one)
            unreadable(tap, one)
            leaving(tap, one, two)
    finally:
        one.stop()
        two.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
