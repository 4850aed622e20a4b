#!/usr/bin/env python3
"""How long until a crashed node is noticed, and until everybody knows, against the size of the
mesh: parley and memberlist in the simulator. Writes build/detection.svg and build/detection.json.

usage: plot_detection.py [--sizes 30,100,300,1000,3000,10000] [--limit 400] [--out build/detection]
       --limit: seconds for one point; one that takes longer is left out, and said so
About five minutes. The left panel has what the load balancer needs: parley's unreachable,
memberlist's dead (it has one signal). The right one has the time from the first node that says so
to the last.
"""

import argparse
import json
import math
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ALGORITHMS = ("parley", "memberlist")
CRASHES = 20  # of a point
NODE_CRASHES_MAX = 30_000  # nodes x crashes: big worlds, which are slow, give fewer
PAIR_BYTES = {"parley": 130, "memberlist": 12}  # of memory, for what one node holds of another
PANEL = {"width": 400, "height": 300, "left": 56, "top": 56, "gap": 84}

# No CSS variables: not every viewer of SVG has them.
STYLE = """
  svg { font: 13px system-ui, sans-serif }
  .paper { fill: #ffffff } text { fill: #1b1f24 } .title { font-weight: 600 }
  .axis { stroke: #1b1f24 } .grid { stroke: #d5dae0 }
  .line { fill: none; stroke-width: 2.2 }
  .tail { fill: none; stroke-width: 1.6; stroke-dasharray: 2 5 }
  .parley { stroke: #1f6fd0 } .memberlist { stroke: #c2500f }
  .dot.parley { fill: #1f6fd0 } .dot.memberlist { fill: #c2500f }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14181d } text { fill: #e6e9ee }
    .axis { stroke: #e6e9ee } .grid { stroke: #3a424c }
    .parley { stroke: #6db1ff } .memberlist { stroke: #ff9a5a }
    .dot.parley { fill: #6db1ff } .dot.memberlist { fill: #ff9a5a }
  }
"""


def available_bytes():
    with open("/proc/meminfo") as f:
        line = next(text for text in f if text.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def simulate(algorithm, nodes, limit):
    """The figures of one point, or None and why."""
    need = nodes * nodes * PAIR_BYTES[algorithm]
    if need > available_bytes():
        return None, f"{algorithm} at {nodes} nodes needs {need / 1e9:.0f} GB of memory"
    every = 15 if algorithm == "parley" else 60
    crashes = max(1, min(CRASHES, NODE_CRASHES_MAX // nodes))
    runs = max(1, math.ceil(crashes * 3 / nodes)) if nodes < 100 else 1
    seconds = math.ceil(crashes / runs) * every + 1
    sim = os.environ.get("PARLEY_SIM", os.path.join(ROOT, "build", "parley-sim"))
    argv = [sim, "--algorithm", algorithm, "--nodes", str(nodes), "--scenario", "crash", "--json"]
    argv += ["--for", f"{seconds}s", "--runs", str(runs)]
    print("#", " ".join(argv[1:]), flush=True)
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=limit)
    except subprocess.TimeoutExpired:
        return None, f"{algorithm} at {nodes} nodes took more than {limit:g} s"
    if done.returncode != 0:
        return None, f"{algorithm} at {nodes} nodes failed"
    data = json.loads(done.stdout)["data"]
    first, spread = data["first_unreachable_ms"], data["spread_ms"]
    if first["mean"] is None or spread["mean"] is None:
        return None, f"{algorithm} at {nodes} nodes noticed nothing"
    return {
        "nodes": nodes,
        "first_s": first["mean"] / 1000,
        "first_p99_s": first["p99"] / 1000,
        "spread_s": spread["mean"] / 1000,
    }, None


def nice_top(value):
    step = 10 ** math.floor(math.log10(value))
    for factor in (1, 2, 2.5, 5, 10):
        if factor * step >= value:
            return factor * step
    return 10 * step


class Panel:
    def __init__(self, number, title, sizes, top):
        self.x0 = PANEL["left"] + number * (PANEL["width"] + PANEL["gap"])
        self.y0 = PANEL["top"] + PANEL["height"]
        self.low, self.high = math.log10(min(sizes)), math.log10(max(sizes))
        self.top = nice_top(top)
        self.out = [f'<text class="title" x="{self.x0}" y="{PANEL["top"] - 20}">{title}</text>']
        self.axes(sizes)

    def x(self, nodes):
        span = self.high - self.low or 1
        return self.x0 + PANEL["width"] * (math.log10(nodes) - self.low) / span

    def y(self, seconds):
        return self.y0 - PANEL["height"] * seconds / self.top

    def axes(self, sizes):
        right = self.x0 + PANEL["width"]
        for k in range(6):
            value = self.top * k / 5
            y = self.y(value)
            self.out.append(f'<path class="grid" d="M{self.x0} {y:.1f}H{right}"/>')
            label = f'<text x="{self.x0 - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g} s</text>'
            self.out.append(label)
        for nodes in sizes:
            x = self.x(nodes)
            text = f"{nodes:,}".replace(",", " ")
            self.out.append(f'<path class="axis" d="M{x:.1f} {self.y0}v5"/>')
            label = f'<text x="{x:.1f}" y="{self.y0 + 21}" text-anchor="middle">{text}</text>'
            self.out.append(label)
        self.out.append(f'<path class="axis" d="M{self.x0} {self.y0}H{right}"/>')
        middle = self.x0 + PANEL["width"] / 2
        name = f'<text x="{middle}" y="{self.y0 + 44}" text-anchor="middle">nodes</text>'
        self.out.append(name)

    def draw(self, algorithm, points, key, kind):
        if not points:
            return
        at = [(self.x(p["nodes"]), self.y(p[key])) for p in points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
        self.out.append(f'<path class="{kind} {algorithm}" d="{path}"/>')
        if kind == "line":
            for (x, y), p in zip(at, points):
                tip = f"<title>{algorithm}, {p['nodes']} nodes: {p[key]:.2f} s</title>"
                place = f'cx="{x:.1f}" cy="{y:.1f}" r="3.5"'
                self.out.append(f'<circle class="dot {algorithm}" {place}>{tip}</circle>')


def legend(width, y):
    rows = [("line", "parley", "parley"), ("line", "memberlist", "memberlist 0.2.2")]
    rows.append(("tail", "parley", "99th percentile, of few the longest"))
    out, x = [], PANEL["left"]
    for kind, name, text in rows:
        out.append(f'<path class="{kind} {name}" d="M{x} {y - 4}h28"/>')
        out.append(f'<text x="{x + 36}" y="{y}">{text}</text>')
        x += 70 + 8 * len(text)
    return out


def svg(points, sizes, lacks):
    everything = [p for a in ALGORITHMS for p in points[a]]
    left = Panel(
        0, "Crash until the first node says so", sizes, max(p["first_p99_s"] for p in everything)
    )
    right = Panel(
        1, "From the first node to the last", sizes, max(p["spread_s"] for p in everything)
    )
    for algorithm in ALGORITHMS:
        left.draw(algorithm, points[algorithm], "first_s", "line")
        left.draw(algorithm, points[algorithm], "first_p99_s", "tail")
        right.draw(algorithm, points[algorithm], "spread_s", "line")
    width = 2 * PANEL["width"] + PANEL["gap"] + PANEL["left"] + 30
    bottom = PANEL["top"] + PANEL["height"] + 76
    notes = [
        f'<text x="{PANEL["left"]}" y="{bottom + 22 * (k + 1)}">{t}</text>'
        for k, t in enumerate(lacks)
    ]
    height = bottom + 22 * len(lacks) + 16
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    title = "<title>Detection and dissemination against the size of the mesh</title>"
    body = [
        head,
        title,
        f"<style>{STYLE}</style>",
        '<rect class="paper" width="100%" height="100%"/>',
        *left.out,
        *right.out,
        *legend(width, bottom),
        *notes,
    ]
    return "\n".join(body) + "\n</svg>\n"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--sizes", default="30,100,300,1000,3000,10000")
    args.add_argument("--limit", type=float, default=400)
    args.add_argument("--out", default=os.path.join(ROOT, "build", "detection"))
    given = args.parse_args()
    sizes = [int(n) for n in given.sizes.split(",")]
    points, lacks = {a: [] for a in ALGORITHMS}, []
    for algorithm in ALGORITHMS:
        for nodes in sizes:
            point, why = simulate(algorithm, nodes, given.limit)
            if point is None:
                lacks.append(f"left out: {why}")
                continue
            points[algorithm].append(point)
            print(
                "{:10} {nodes:6} nodes: first {first_s:.2f} s, p99 {first_p99_s:.2f} s, "
                "then all in {spread_s:.2f} s".format(algorithm, **point),
                flush=True,
            )
    if not any(points.values()):
        print("no point could be measured")
        return 1
    with open(given.out + ".json", "w") as f:
        json.dump({"schema": "parley.detection.v1", "data": points, "lacks": lacks}, f, indent=1)
    with open(given.out + ".svg", "w") as f:
        f.write(svg(points, sizes, lacks))
    print(f"wrote {given.out}.svg and .json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
