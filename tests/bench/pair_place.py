"""Where the processes of tests/bench/pair.py stand while a latency is measured."""

import contextlib
import os

import pair_rigs

HALTPOLL = "/sys/module/haltpoll/parameters/guest_halt_poll_"
AWAKE = {"allow_shrink": "N", "grow_start": "200000", "ns": "200000"}


@contextlib.contextmanager
def awake():
    """The idle cores of a virtual machine look out for work for 200 us before they halt, as on a
    host that is to answer fast, without deep sleep: a halted one costs who wakes it 15 us and runs
    30 us later, four times a request, whichever proxy it is. Nothing where the kernel cannot."""
    before = {}
    with contextlib.suppress(OSError):
        for name, value in AWAKE.items():
            with open(HALTPOLL + name) as f:
                old = f.read()
            with open(HALTPOLL + name, "w") as f:
                f.write(value)
            before[name] = old
    try:
        yield
    finally:
        for name, old in before.items():
            with open(HALTPOLL + name, "w") as f:
                f.write(old)


@contextlib.contextmanager
def two_hosts(rig, origin):
    """The machine as two hosts of one core each, as a sidecar stands beside its application:

        first core                          second core
        load -> [ outbound ] -- mTLS --> [ inbound ] -> origin

    The cores are kept awake, and all processes are in the real-time class, so that what else runs
    on the machine is not in the figure, but for the 50 ms a second that the kernel keeps for what
    starves. Gives what the load's process calls to stand there too."""
    cpus = sorted(os.sched_getaffinity(0))
    first, second = {cpus[0]}, {cpus[-1]}
    stands = [(pair_rigs.family(p.pid), on) for p, on in zip(rig.side, (first, second))]
    stands += [(pair_rigs.family(p.pid), second) for p in origin.process]
    for pids, on in stands:
        place(pids, on, os.SCHED_RR)
    try:
        with awake():
            yield lambda: place([os.getpid()], first, os.SCHED_RR)
    finally:
        for pids, _ in stands:
            place(pids, cpus, os.SCHED_OTHER)


def place(pids, cpus, policy):
    """All threads of these processes; those they start later follow."""
    param = os.sched_param(os.sched_get_priority_min(policy))
    for pid in pids:
        for thread in map(int, os.listdir(f"/proc/{pid}/task")):
            os.sched_setaffinity(thread, cpus)
            # A container may keep the class to itself; then the machine has to be quiet.
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(thread, policy, param)
