#!/usr/bin/env python3
"""Mesh policy on five hosts with real traffic: applied anywhere it changes what every host allows,
on a live connection; taken back when it is not confirmed; refused where it does not fit, and then
nowhere in force; signed by nobody who was removed; kept over restarts and crashes.

Time limit: 1200 s
"""

import json
import os
import re
import resource

import subprocess
import sys

from lab import Lab, Tap, binary, run, skip_all, wait_for

LIVE = """
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", 9001, timeout=10)
for line in sys.stdin:
    c.request("GET", line.strip())
    r = c.getresponse()
    r.read()
    print(r.status, r.getheader("parley-reason") or "-", c.sock.getsockname()[1], flush=True)
"""
API = '[service.api]\nlocal = "127.0.0.1:8081"\n'
DB = '[service.db]\nlocal = "127.0.0.1:5432"\nprotocol = "tcp"\nhealth = "none"\n'
WEB = (
    '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
    '[upstream.api]\nlisten = "127.0.0.1:9001"\n'
)
OPEN = '[[rule]]\nname = "web-api"\nfrom = ["web"]\nto = ["api"]\n'
CLOSED = OPEN + '[[rule]]\nname = "no-web"\naction = "deny"\nfrom = ["web"]\nto = ["api"]\n'
UNFIT = CLOSED + '[[rule]]\nname = "db-x"\nfrom = ["web"]\nto = ["db"]\npath = ["/x"]\n'


class Mesh:
    """The lab, its operator's key, and one keep-alive connection from host 1 to `api`."""

    def __init__(self, lab, tap):
        self.lab, self.tap = lab, tap
        self.key = os.path.join(lab.folder, "alice.key")
        self.live = None

    def hosts(self):
        return [h for h in self.lab.host.values() if h.agent]

    def write(self, name, text):
        path = os.path.join(self.lab.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def operate(self, host, *argv, key=None, **kw):
        env = dict(os.environ, PARLEY_OPERATOR_KEY=key or self.key)
        return host.parley(*argv, env=env, **kw)

    def apply(self, host, text, *argv, **kw):
        return self.operate(
            host, "config", "apply", self.write("mesh.toml", text), "--yes", *argv, **kw
        )

    def connect(self):
        if self.live:
            self.live.stdin.close()
            self.live.wait(timeout=10)
        self.live = subprocess.Popen(
            self.lab.host[1].prefix() + [sys.executable, "-c", LIVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def get(self, path="/"):
        """(status, reason, local port of the connection)"""
        self.live.stdin.write(path + "\n")
        self.live.stdin.flush()
        status, reason, port = self.live.stdout.readline().split()
        return int(status), reason, int(port)

    def becomes(self, status, seconds=5):
        return wait_for(lambda: self.get()[0] == status, seconds)

    def generations(self):
        return [h.ask("status")["policy"]["generation"] for h in self.hosts()]

    def everywhere(self, gen, seconds=10):
        return wait_for(lambda: set(self.generations()) == {gen}, seconds)

    def ok(self, good, name, detail=""):
        if not good:
            said = [
                f"{h.name}: {x[11:160]}"
                for h in self.hosts()
                for x in [x for x in h.log().splitlines() if " policy " in x][-6:]
            ]
            detail = "\n".join([str(detail)[-800:], str(self.generations()), *said])
        return self.tap.ok(good, name, detail)


def start(m):
    lab, tap = m.lab, m.tap
    newcomer = lab.host.pop(5)
    made = lab.mesh(tap)
    lab.host[5] = newcomer
    if not made:
        return False
    os.rename(os.path.join(lab.host[1].root, "etc/parley/operator.key"), m.key)
    for n, text in {1: WEB, 2: API, 3: API, 4: DB}.items():
        lab.host[n].config(text)
        r = lab.host[n].parley("reload", "--wait")
        if not tap.ok(r.returncode == 0, f"h{n} takes its services", r.stderr):
            return False
    for n in (2, 3):
        lab.host[n].spawn(
            binary(), "testapp", "echo", "--listen", "127.0.0.1:8081", log=f"echo{n}.log"
        )
    up = lambda: list(lab.host[1].endpoint_states("api").values()) == ["up", "up"]
    m.connect()
    return tap.ok(wait_for(up, 10), "both api hosts are up", lab.host[1].endpoint_states("api"))


def first_apply(m):
    h1, h3 = m.lab.host[1], m.lab.host[3]
    status, reason, port = m.get()
    m.ok((status, reason) == (403, "denied_default"), "without policy web may not call api", reason)
    path = m.write("mesh.toml", OPEN)
    r = h3.parley("config", "diff", path, "--exit-code")
    m.ok(
        r.returncode == 10 and r.stdout == f"+ rule.web-api  allow web -> api    {path}:1\n",
        "diff shows the rule to come",
        r.stdout + r.stderr,
    )
    r = h3.parley("config", "apply", path, "--yes")
    m.ok(
        r.returncode == 5 and "--key FILE" in r.stderr,
        "without an operator's key nothing is applied",
        r.stderr,
    )
    r = m.apply(h3, OPEN, "-m", "let web call api")
    m.ok(
        r.returncode == 0 and "active on 4/4 live nodes" in r.stdout and "generation 1" in r.stdout,
        "apply on a host that is not the first",
        r.stdout + r.stderr,
    )
    m.tap.note(" | ".join(x.strip() for x in r.stdout.splitlines()))
    status, reason, after = m.get()
    m.ok((status, after) == (200, port), "the same connection is now served", (status, reason))
    m.ok(m.generations() == [1, 1, 1, 1], "every host has generation 1 in force")
    rows = lambda h: {(x["config"], x["config_gen"]) for x in h.ask("members")}
    for h in m.hosts():
        said = wait_for(lambda: rows(h) == {("ok", 1)}, 10)
        m.ok(said, f"{h.name} sees 1 ok on every member", rows(h))
    text = h1.parley("members").stdout
    m.ok("1 ok" in text, "and shows the column", text)
    r = h1.parley("config", "diff", path, "--exit-code")
    m.ok(r.returncode == 0, "diff against what is in force is empty", r.stdout)
    shown = h1.parley("config", "show", "--mesh", "-q").stdout
    m.ok(shown == OPEN, "show --mesh prints the text", shown)
    r = m.apply(h1, OPEN)
    m.ok(
        r.returncode == 0 and "nothing to do" in r.stdout,
        "the same again is no generation",
        r.stdout,
    )


def bad_input(m):
    h2 = m.lab.host[2]
    r = m.apply(h2, '[[rule]]\nname = "a"\nform = ["web"]\n')
    m.ok(
        r.returncode == 3 and 'mesh.toml:3:1: error: unknown key "form"' in r.stderr,
        "a wrong key is an error with its place, before anything is sent",
        r.stderr,
    )
    r = m.apply(h2, OPEN.replace('"api"', '"apj"'), "--json", "--no-wait")
    m.ok('did you mean "api"?' in r.stderr, "an unknown service is a warning", r.stderr)
    doc = json.loads(r.stdout)
    m.ok(doc["schema"] == "parley.config-apply.v1" and doc["data"]["gen"] == 2, "apply --json", doc)
    m.everywhere(2)
    r = m.operate(h2, "config", "rollback", "1")
    m.ok(r.returncode == 0 and m.becomes(200), "rollback takes it back", r.stdout + r.stderr)


def layers(m):
    h1, h2 = m.lab.host[1], m.lab.host[2]
    gen = max(m.generations())
    r = m.apply(h1, CLOSED, "-m", "close")
    status, reason, _ = m.get()
    m.ok(
        (r.returncode, status, reason) == (0, 403, "denied_rule"),
        "a mesh deny decides before the mesh allow",
        r.stdout + r.stderr,
    )
    text = h2.run(
        "curl", "-s", "--unix-socket", h2.root + "/run/parley/parley.sock", "http://x/metrics"
    )
    three = m.lab.host[3]
    text = (
        text.stdout
        + three.run(
            "curl",
            "-s",
            "--unix-socket",
            three.root + "/run/parley/parley.sock",
            "http://x/metrics",
        ).stdout
    )
    said = [x for x in text.splitlines() if x.startswith("parley_policy_decisions_total")]
    m.ok(
        any('rule="no-web"' in x and 'layer="mesh"' in x for x in said),
        "metrics name layer and rule",
        said,
    )
    m.ok(f"parley_config_generation {gen + 1}" in text, "metrics have the generation", text[-2000:])
    stale = lambda: h2.ask("status")["policy"]["nodes_stale"]
    m.ok(wait_for(lambda: stale() == 0, 10), "soon nobody is stale", stale())
    r = m.operate(m.lab.host[4], "config", "rollback", str(gen))
    m.ok(
        r.returncode == 0 and m.get()[0] == 200, "rollback on a third host opens it again", r.stderr
    )
    rows = h1.ask("config", "history")
    m.ok(
        rows[0]["message"] == f"rollback to {gen}" and rows[0]["state"] == "active",
        "history tells who, when and why",
        rows[0],
    )


def confirming(m):
    h1, h2, h4 = m.lab.host[1], m.lab.host[2], m.lab.host[4]
    before = max(m.generations())
    r = m.apply(h2, CLOSED, "--confirm-within", "2s")
    m.ok(
        r.returncode == 0 and "unless: parley config confirm" in r.stdout,
        "apply to be confirmed",
        r.stdout,
    )
    m.ok(m.get()[0] == 403, "it is in force meanwhile")
    m.ok(m.becomes(200, 8) and m.everywhere(before), "not confirmed: taken back on every host")
    states = [x["state"] for x in h1.ask("config", "history", "-n", "2")]
    m.ok(states[0] in ("reverted", "not confirmed"), "history says so", states)
    r = m.apply(h2, CLOSED, "--confirm-within", "3s")
    gen = int(re.search(r"generation (\d+)", r.stdout)[1])
    r = m.operate(h4, "config", "confirm", str(gen))
    m.ok(
        r.returncode == 0 and "confirmed" in r.stdout,
        "confirm on another host",
        r.stdout + r.stderr,
    )
    r = m.operate(h2, "config", "confirm")
    m.ok(r.returncode == 0, "confirming twice is no error", r.stderr)
    m.ok(not m.becomes(200, 4) and m.everywhere(gen), "confirmed: it stays past that time")
    m.operate(h1, "config", "rollback", str(before))
    m.ok(m.becomes(200), "open again")


def unfit(m):
    """db is tcp on h4: a rule on the path of its requests cannot be compiled there."""
    h1 = m.lab.host[1]
    before = max(m.generations())
    r = m.apply(h1, UNFIT)
    m.ok(
        r.returncode == 1 and "h4 rejected" in r.stderr and "tcp on this host" in r.stderr,
        "what one host cannot compile is refused, with host and reason",
        f"{r.returncode} {r.stdout} {r.stderr}",
    )
    m.ok(m.get()[0] == 200, "and not in force where it would compile")
    said = [h.name for h in m.hosts() if f"active generation={before + 1} " in h.log()]
    m.ok(said == [], "it was never in force anywhere", said)
    rows = lambda: {x["node"]: x["config"] for x in h1.ask("members")}
    said = wait_for(lambda: rows()["h4"] == "rejected", 10)
    m.ok(said, "members names who refused", rows())
    m.apply(h1, OPEN.replace("\n", '\npath = ["/*"]\n', 1), "-m", "paths of api")
    h2 = m.lab.host[2]
    h2.config(API + 'protocol = "tcp"\n')
    r = h2.parley("reload")
    m.ok(
        r.returncode == 3 and "mesh:mesh.toml:1: " in r.stderr and "tcp on this host" in r.stderr,
        "a reload that the mesh policy does not fit is refused",
        r.stderr,
    )
    h2.config(API)
    r = m.apply(h1, OPEN, "-m", "mended")
    m.ok(r.returncode == 0, "the next generation goes through", r.stdout + r.stderr)


def link(host, up):
    run(["ip", "-n", host.netns, "link", "set", "eth0", "up" if up else "down"], check=True)


def siblings(m):
    h2, h4 = m.lab.host[2], m.lab.host[4]
    gen = max(m.generations()) + 1
    link(h4, False)
    a = m.apply(h2, OPEN + "# a\n", "--no-wait", "-m", "from h2")
    b = m.operate(
        h4, "config", "apply", m.write("other.toml", OPEN), "--yes", "--no-wait", "-m", "from h4"
    )
    link(h4, True)
    m.ok(
        a.returncode == 0 and b.returncode == 0,
        "two hosts apart each take one",
        a.stderr + b.stderr,
    )

    def heads():
        return {h.ask("config", "history")[0]["hash"] for h in m.hosts()}

    one = wait_for(lambda: len(heads()) == 1, 60, 0.5)
    m.ok(one and m.everywhere(gen, 30), "together again one has won everywhere", heads())
    lost = [
        [x for x in h.ask("config", "history") if x["state"] == "sibling" and x["gen"] == gen]
        for h in m.hosts()
    ]
    m.ok(all(len(x) == 1 for x in lost), "and every host reports the other as a sibling", lost)
    m.ok("P045" in h2.parley("check").stdout, "check says so too")


def at_once(m):
    """--immediate: two operators' word, no canary; and still nowhere what one host refuses."""
    h1 = m.lab.host[1]
    before = max(m.generations())
    carol = os.path.join(m.lab.folder, "carol.key")
    m.operate(h1, "operator", "add", "carol", "--out", carol)
    names = lambda h: [x["name"] for x in h.ask("operator", "list")]
    m.ok(
        wait_for(lambda: all("carol" in names(h) for h in m.hosts()), 10), "every host knows carol"
    )
    r = m.apply(h1, CLOSED, "--immediate")
    m.ok(r.returncode == 2 and "--cosign" in r.stderr, "--immediate needs another's key", r.stderr)
    r = m.apply(h1, CLOSED, "--immediate", "--cosign", m.key)
    m.ok(r.returncode == 2 and "another's" in r.stderr, "not one's own again", r.stderr)
    r = m.apply(h1, CLOSED, "--immediate", "--cosign", carol)
    m.ok(
        r.returncode == 0 and "active on 4/4 live nodes" in r.stdout and m.get()[0] == 403,
        "with it, all have it at once",
        r.stdout + r.stderr,
    )
    r = m.apply(h1, UNFIT, "--immediate", "--cosign", carol)
    said = [h.name for h in m.hosts() if f"active generation={before + 2} " in h.log()]
    m.ok(
        r.returncode == 1 and "h4 rejected" in r.stderr and said == [],
        "what one host refuses is in force nowhere",
        f"{r.stdout} {r.stderr} {said}",
    )
    r = m.operate(h1, "operator", "remove", "carol")
    m.ok(r.returncode == 0, "carol goes", r.stderr)
    r = m.operate(h1, "config", "rollback", str(before))
    m.ok(r.returncode == 0 and m.becomes(200), "open again", r.stderr)


def unconfirmed(m):
    """A trial goes with the operator who signed it."""
    h1, h4 = m.lab.host[1], m.lab.host[4]
    good = max(m.generations())
    dave = os.path.join(m.lab.folder, "dave.key")
    m.operate(h1, "operator", "add", "dave", "--out", dave)
    names = lambda h: [x["name"] for x in h.ask("operator", "list")]
    m.ok(wait_for(lambda: "dave" in names(h4), 10), "h4 knows dave")
    path = m.write("mesh.toml", CLOSED)
    r = m.operate(h4, "config", "apply", path, "--yes", "--confirm-within", "1h", key=dave)
    m.ok(r.returncode == 0 and m.get()[0] == 403, "dave's trial is in force", r.stdout + r.stderr)
    r = m.operate(h1, "operator", "remove", "dave")
    back = m.becomes(200) and m.everywhere(good)
    m.ok(r.returncode == 0 and back, "dave goes, and the trial with them", r.stderr)
    r = m.operate(h4, "config", "confirm", key=dave)
    m.ok(r.returncode == 5, "nor can dave confirm it", r.stderr)


def removed(m):
    h1, h4 = m.lab.host[1], m.lab.host[4]
    bob = os.path.join(m.lab.folder, "bob.key")
    r = m.operate(h1, "operator", "add", "bob", "--out", bob)
    m.ok(r.returncode == 0 and os.path.exists(bob), "operator add makes a key", r.stdout + r.stderr)
    names = lambda h: [x["name"] for x in h.ask("operator", "list")]
    m.ok(wait_for(lambda: all("bob" in names(h) for h in m.hosts()), 10), "every host knows bob")
    r = m.operate(h4, "config", "apply", m.write("mesh.toml", OPEN + "# bob\n"), "--yes", key=bob)
    m.ok(r.returncode == 0, "bob applies", r.stdout + r.stderr)
    r = m.operate(h4, "operator", "remove", "bob", key=bob)
    m.ok(r.returncode == 5, "bob's role is not enough to say who signs", r.stderr)
    good = max(m.generations())
    link(h4, False)
    r = m.operate(h1, "operator", "remove", "bob")
    m.ok(r.returncode == 0, "operator remove", r.stdout + r.stderr)
    r = m.operate(
        h4, "config", "apply", m.write("late.toml", CLOSED), "--yes", "--no-wait", key=bob
    )
    m.ok(r.returncode == 0, "a host that has not heard of it still takes what bob signs", r.stderr)
    link(h4, True)
    gone = wait_for(lambda: "bob" not in names(h4), 60, 0.5)
    m.ok(gone, "together again it hears of it")
    m.ok(m.everywhere(good, 30) and m.get()[0] == 200, "what bob signed after that is nowhere")
    r = m.operate(h4, "config", "apply", m.write("late.toml", CLOSED), "--yes", key=bob)
    m.ok(r.returncode == 5, "and bob is refused", r.stderr)


def settling(m):
    """A junior removes the first operator, who could undo that until the issuer settles it."""
    h1, h4 = m.lab.host[1], m.lab.host[4]
    erin = os.path.join(m.lab.folder, "erin.key")
    own = m.operate(h1, "operator", "key").stdout.strip()
    first = h1.ask("operator", "list")[0]["name"]
    names = lambda h: [x["name"] for x in h.ask("operator", "list")]
    all_have = lambda want: wait_for(lambda: all(names(h) == want for h in m.hosts()), 20)
    m.operate(h1, "operator", "add", "erin", "--role", "admin", "--out", erin)
    r = m.operate(h1, "operator", "remove", first, key=erin)
    m.ok(
        r.returncode == 0 and "operator settle" in r.stderr,
        "removing who is more senior says what that is worth",
        r.stderr,
    )
    r = h4.parley("operator", "settle")
    m.ok(
        r.returncode == 5 and "no issuer key" in r.stderr, "no host but a signer settles", r.stderr
    )
    r = h1.parley("operator", "settle")
    m.ok(
        r.returncode == 0 and "settled 1 operator " in r.stdout and all_have(["erin"]),
        "on the signer, with the issuer's key",
        r.stdout + r.stderr,
    )
    r = m.operate(h1, "operator", "add", first, "--role", "admin", "--public-key", own, key=erin)
    m.ok(r.returncode == 0 and all_have(["erin", first]), "the first comes back", r.stderr)
    r = h1.parley("operator", "remove", "erin", "--issuer")
    m.ok(r.returncode == 0 and all_have([first]), "the issuer removes whom it likes", r.stderr)
    r = m.apply(h4, OPEN + "# settled\n")
    m.ok(r.returncode == 0 and m.get()[0] == 200, "policy goes on", r.stdout + r.stderr)


def newcomer(m):
    lab = m.lab
    h1, h5 = lab.host[1], lab.host[5]
    gen = max(m.generations())
    token = h1.parley("token", "create", "-q").stdout.strip()
    r = h5.parley("join", token, "--node", h5.name, "--addr", h5.addr)
    h5.config(API)
    m.ok(r.returncode == 0 and h5.up(), "a newcomer joins", r.stdout + r.stderr + h5.log())
    m.ok(m.everywhere(gen, 15), "it has the policy in force")
    same = h5.parley("config", "show", "--mesh", "-q").stdout
    m.ok(same == h1.parley("config", "show", "--mesh", "-q").stdout, "with the same text", same)
    m.ok([x["name"] for x in h5.ask("operator", "list")] != [], "and knows the operators")


def restart(m):
    h2 = m.lab.host[2]
    gen = max(m.generations())
    h2.kill()
    link(h2, False)
    h2.up()
    m.ok(
        h2.ask("status")["policy"]["generation"] == gen,
        "killed and alone, a host starts with the policy in force",
        h2.log()[-2000:],
    )
    ready = h2.log().rindex(" ready ")
    active = h2.log().rindex(f"active generation={gen} ")
    m.ok(active < ready, "before it says that it is ready")
    link(h2, True)
    alive = lambda: all(
        sum(x["status"] == "alive" for x in h.ask("members")) == len(m.hosts()) for h in m.hosts()
    )
    m.ok(wait_for(alive, 60, 0.5), "together again")


def deadly(m):
    """What crashes one host, whichever it is, is found out by a trial there, before one has it."""
    victim = m.lab.host[3]
    before = max(m.generations())
    usual = resource.prlimit(victim.agent.pid, resource.RLIMIT_STACK)
    # Too small for what a trial does, so that it dies; what runs already has its pages.
    resource.prlimit(victim.agent.pid, resource.RLIMIT_STACK, (65536, usual[1]))
    for gen in (before + 1, before + 2):
        r = m.apply(m.lab.host[1], CLOSED + f"# {gen}\n")
        m.ok(
            r.returncode == 1 and "h3 rejected" in r.stderr and "its trial crashed" in r.stderr,
            f"generation {gen} crashes the trial of one host, which refuses it",
            f"{r.returncode} {r.stdout} {r.stderr}",
        )
        said = [h.name for h in m.hosts() if f"active generation={gen} " in h.log()]
        m.ok(said == [], "no host ever had it in force", said)
    m.ok(victim.agent.poll() is None and m.get()[0] == 200, "and none died of it")
    resource.prlimit(victim.agent.pid, resource.RLIMIT_STACK, usual)
    r = m.apply(m.lab.host[1], OPEN + "# well\n")
    m.ok(r.returncode == 0, "the next generation goes through", r.stdout + r.stderr)


def crash(m):
    """What no trial finds: the first host that has it dies of it, twice; the others never do."""
    before = max(m.generations())
    r = m.apply(m.lab.host[1], CLOSED, "--soak", "20s", "--no-wait", "-m", "deadly")
    m.ok(r.returncode == 0, "a generation is under way", r.stderr)
    gen = before + 1
    mark = f"active generation={gen} "
    first = wait_for(lambda: next((h for h in m.hosts() if mark in h.log()), None), 10, 0.02)
    if not m.ok(first, "one host has it in force first"):
        return
    first.kill()
    first.up()
    first.kill()
    first.up()
    m.ok(
        "shortly before this process ended, twice" in first.log(),
        "its second start lays the crashes to the generation",
        first.log()[-2000:],
    )
    m.ok(m.everywhere(before, 20), "it runs on the generation before")
    stopped = lambda: {x["state"] for h in m.hosts() for x in h.ask("config", "history", "-n", "1")}
    end = wait_for(lambda: stopped() <= {"stopped", "rejected", "rolled_back"}, 30, 0.5)
    m.ok(end, "every host has stopped it", stopped())
    others = [h.name for h in m.hosts() if h is not first and mark in h.log()]
    m.ok(others == [], "no other host ever had it in force", others)
    if first is m.lab.host[1]:
        m.connect()  # its connections went with it
    m.ok(m.becomes(200, 10), "traffic goes on")
    r = m.apply(m.lab.host[1], OPEN + "# after\n")
    m.ok(r.returncode == 0, "and the next generation goes through", r.stdout + r.stderr)


def main():
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    if os.geteuid() != 0:
        skip_all("needs root for network namespaces")
    tap = Tap()
    with Lab(5) as lab:
        m = Mesh(lab, tap)
        if start(m):
            for part in (
                first_apply,
                bad_input,
                layers,
                confirming,
                unfit,
                siblings,
                at_once,
                unconfirmed,
                removed,
                settling,
                newcomer,
                restart,
                deadly,
                crash,
            ):
                tap.note(part.__name__)
                part(m)
            m.live.stdin.close()
            m.live.wait(timeout=10)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
