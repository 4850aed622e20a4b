"""What tests/bench/pair.py prints, judges and draws."""

import math
import statistics

ORDER = ("parley", "haproxy", "nginx", "envoy", "relay", "direct")
COLOUR = {
    "parley": "#1f6fd0",
    "haproxy": "#c2500f",
    "nginx": "#2f8f4e",
    "envoy": "#8a4fbf",
    "relay": "#8a929c",
}
IDLE_KIB_MAX = 8192  # more resident for 10 000 idle connections
RESIDENT_KIB_MAX = 12288
ADDED_US_MAX = 300
# At 32 connections, of a request: one send to its other end, and its part of a record on the link.
CLIENT_SENDS_MAX = 1.01
APP_SENDS_MAX = 1.0
LINK_SENDS_MAX = 0.35
WAITS_MAX = 0.6  # of both ends
BAR = {"height": 16, "gap": 4, "left": 300, "width": 420}


def figures(r):
    """What one round gave, each per request or per second."""
    out = {"rss_kib": max(r["rss_kib"]) if r["rss_kib"] else 0}
    if all(r.get("calls", [{}])):
        calls, requests = r["calls"], r["requests"]
        for kind in calls[0]:
            out[kind] = sum(side[kind] for side in calls) / requests
    elif "calls" in r:
        out["send"] = 0
    elif "requests" in r:
        out["cpu_us"] = r["cpu_us"] / r["requests"]
        out["per_s"] = r["requests"] / r["seconds"]
        out["p50_us"], out["p99_us"] = r["p50_us"], r["p99_us"]
        if "direct_p99_us" in r:
            out["direct_us"] = r["direct_p99_us"]
            out["stalled"] = 100 * r["stalled"] / requests if (requests := r["requests"]) else 0
    elif "bytes" in r:
        out["cpu_s_gb"] = r["cpu_us"] / 1e6 / (r["bytes"] / 1e9) if r["bytes"] else math.inf
        out["mb_s"] = r["bytes"] / r["seconds"] / 1e6
    else:
        out["more_kib"] = r["more_kib"]
        out["bytes_each"] = r["more_kib"] * 1024 / r["connections"]
    return out


def medians(rounds):
    each = [figures(r) for r in rounds]
    return {key: statistics.median(f[key] for f in each) for key in each[0]}


def ratio(case, key, name, other):
    """The median of the rounds' ratios; None where one of them is missing."""
    a, b = case.rounds.get(name), case.rounds.get(other)
    if not a or not b:
        return None
    pairs = [(figures(x)[key], figures(y)[key]) for x, y in zip(a, b)]
    return statistics.median(x / y for x, y in pairs if y) if any(y for _, y in pairs) else None


COLUMNS = {
    "cpu_us": ("CPU us/req", 1),
    "per_s": ("req/s", 0),
    "p50_us": ("p50 us", 0),
    "p99_us": ("p99 us", 0),
    "direct_us": ("direct p99", 0),
    "stalled": ("stalled %", 2),
    "cpu_s_gb": ("CPU s/GB", 2),
    "mb_s": ("MB/s", 0),
    "more_kib": ("more KiB", 0),
    "bytes_each": ("bytes each", 0),
    "send": ("sends/req", 2),
    "receive": ("recvs/req", 2),
    "wait": ("waits/req", 2),
    "control": ("other/req", 3),
    "rss_kib": ("RSS KiB", 0),
}


def block(case):
    """The table of one case; a process's resident memory is the larger side's."""
    names = [n for n in ORDER if n in case.rounds]
    rounds = max((len(case.rounds[n]) for n in names), default=0)
    lines = [f"\n{case.title} ({rounds} rounds)"]
    if names:
        found = {n: medians(case.rounds[n]) for n in names}
        keys = list(found[names[0]])
        cost = keys[1]
        head = "".join(f"{COLUMNS[k][0]:>12}" for k in keys[1:] + keys[:1])
        lines.append(f"{'':10}{head}   parley/it")
        for n in names:
            cells = "".join(f"{found[n][k]:12.{COLUMNS[k][1]}f}" for k in keys[1:] + keys[:1])
            r = ratio(case, cost, "parley", n) if n not in ("parley", "direct") else None
            lines.append(f"{n:10}{cells}   {'' if r is None else f'{r:.2f}'}")
    lines += [f"{n:10}  skipped: {why}" for n, why in case.skipped.items()]
    return "\n".join(lines)


def judge(cases):
    """What has to hold, of the cases that were run: name -> (good, text); good None: one of the two
    was not there to compare."""
    by_name = {c.name: c for c in cases}
    judged = {}

    def compare(case, key, other, bound, least=False, goal=""):
        c = by_name.get(case)
        if c is None:
            return
        r = ratio(c, key, "parley", other)
        what = f"{c.title}: {COLUMNS[key][0]} / {other}{goal}"
        if r is None:
            judged[what] = (None, "not measured")
        else:
            good = r >= bound if least else r <= bound
            judged[what] = (good, f"{r:.2f} {'>=' if least else '<='} {bound:.2f}")

    for name in ("h1-32", "h1-256"):
        compare(name, "cpu_us", "nginx", 0.5)
        compare(name, "cpu_us", "haproxy", 0.5)
        compare(name, "cpu_us", "relay", 1.0, goal=" (goal)")
    compare("h1-64k", "cpu_us", "haproxy", 0.75)
    compare("h1-close", "cpu_us", "haproxy", 2 / 3)
    for name in ("h2", "grpc"):
        compare(name, "cpu_us", "envoy", 0.5)
    for name in ("bulk-http", "bulk-http-4", "bulk-tcp", "bulk-tcp-4"):
        compare(name, "cpu_s_gb", "nginx", 1.0)
        compare(name, "mb_s", "nginx", 1.0, least=True)
    for name in ("nginx", "haproxy"):
        compare("h1-256-w2", "cpu_us", name, 0.5, goal=" (goal)")
    judge_calls(by_name.get("calls"), judged)
    judge_memory(by_name, judged)
    judge_latency(by_name.get("half"), judged)
    return judged


def judge_calls(case, judged):
    """Sends of either end, and waits of both. What a turn gives a link is a send of its own."""
    rounds = case.rounds.get("parley") if case else None
    if not rounds or not all(rounds[0]["calls"]):
        return
    requests, ends = rounds[0]["requests"], rounds[0]["calls"]
    bounds = (("calling", CLIENT_SENDS_MAX), ("accepting", APP_SENDS_MAX))
    for (end, own), calls in zip(bounds, ends):
        got, most = calls["send"] / requests, own + LINK_SENDS_MAX
        judged[f"{case.title}: sends, {end} end"] = (got <= most, f"{got:.2f} <= {most:.2f}")
    got = sum(calls["wait"] for calls in ends) / requests
    judged[f"{case.title}: waits"] = (got <= WAITS_MAX, f"{got:.2f} <= {WAITS_MAX:.2f}")


def judge_memory(by_name, judged):
    idle = by_name.get("idle")
    if idle and idle.rounds.get("parley"):
        more = medians(idle.rounds["parley"])["more_kib"]
        judged[f"{idle.title}: more resident, KiB"] = (
            more <= IDLE_KIB_MAX,
            f"{more:.0f} <= {IDLE_KIB_MAX}",
        )
    for case in by_name.values():
        if case.rounds.get("parley") and case.name not in ("idle", "half", "calls"):
            kib = medians(case.rounds["parley"])["rss_kib"]
            good = kib <= RESIDENT_KIB_MAX
            judged[f"{case.title}: resident, KiB"] = (good, f"{kib:.0f} <= {RESIDENT_KIB_MAX}")


def judge_latency(case, judged):
    """Against the calmest round of the origin alone: one that something else disturbed would make
    what the pair adds look small. None where every round was disturbed."""
    rounds = case.rounds.get("parley") if case else None
    if not rounds:
        return
    direct = min(r["direct_p99_us"] for r in rounds)
    added = medians(rounds)["p99_us"] - direct
    what = f"{case.title}: p99 added, us"
    if direct > ADDED_US_MAX:
        judged[what] = (None, "the machine is busy")
    else:
        judged[what] = (added <= ADDED_US_MAX, f"{added:.0f} <= {ADDED_US_MAX}")


STYLE = """
  svg { font: 13px system-ui, sans-serif }
  .paper { fill: #ffffff } text { fill: #1b1f24 } .title { font-weight: 600 }
  @media (prefers-color-scheme: dark) { .paper { fill: #14181d } text { fill: #e6e9ee } }
"""


def bars(case, y):
    """The bars of one case, each as long as its share of the longest, and where they end."""
    found = {n: medians(case.rounds[n]) for n in ORDER if n in case.rounds and n != "direct"}
    key = "cpu_us" if "cpu_us" in next(iter(found.values())) else "cpu_s_gb"
    unit = "us" if key == "cpu_us" else "s/GB"
    top = max(f[key] for f in found.values())
    out = [f'<text class="title" x="24" y="{y + 13}">{case.title}</text>']
    for name, f in found.items():
        length = BAR["width"] * f[key] / top
        rate = f"{f['per_s']:.0f} req/s" if key == "cpu_us" else f"{f['mb_s']:.0f} MB/s"
        place = f'x="{BAR["left"]}" y="{y}" width="{length:.1f}" height="{BAR["height"]}"'
        out.append(f'<rect fill="{COLOUR[name]}" {place}><title>{name}: {rate}</title></rect>')
        label = f"{name} {f[key]:.1f} {unit}" if key == "cpu_us" else f"{name} {f[key]:.2f} {unit}"
        out.append(f'<text x="{BAR["left"] + length + 8:.1f}" y="{y + 13}">{label}</text>')
        y += BAR["height"] + BAR["gap"]
    return out, y + 14


def svg(cases):
    out, y = [], 56
    for case in cases:
        drawn = [n for n in case.rounds if n != "direct"]
        if case.name == "calls":
            continue
        if drawn and (
            "requests" in case.rounds[drawn[0]][0] or "bytes" in case.rounds[drawn[0]][0]
        ):
            some, y = bars(case, y)
            out += some
    width, height = BAR["left"] + BAR["width"] + 180, y + 10
    title = "CPU of a pair of proxies: microseconds a request, seconds a gigabyte"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    return "\n".join(
        [
            head,
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            f'<text class="title" x="24" y="30">{title}</text>',
            *out,
            "</svg>",
            "",
        ]
    )
