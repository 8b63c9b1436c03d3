#!/usr/bin/env python3
"""Whether calls leave the heap where it was: few calls, many calls, quiet; the readings of `c4 stats` after each.

    idle.py RIG c4-chain.toml [--calls 100000] [--first 1000] [--rate 500] [--base 21460]

RIG is the folder of the load rig (riglib.py, blaster); $C4_BIN that of the binaries. Quiet is 40 s: transactions are gone
(RFC 3261 §17: 32 s). The balancer's Call-IDs stay 200 s after their last message: the last reading is at 240 s.
"""
import argparse, os, subprocess, sys, time

READINGS = ["process.heap-bytes", "process.rss-bytes", "process.fds", "process.threads", "contacts", "dialogs",
            "transactions", "lb.calls", "lb.streams"]
QUIET, CALL_IDS = 40, 240


def stats(sut, program):
    out = subprocess.run([os.path.expandvars("$C4_BIN/c4"), "stats", "--socket", f"{sut.rundir}/{program}.ctl"],
                         capture_output=True, text=True, check=True).stdout
    return {n: int(v) for n, v in (l.split(" ", 1) for l in out.splitlines() if " " in l) if v.lstrip("-").isdigit()}


def read(sut, when):
    found = {}
    for program in ("proxy", "lb"):
        s = stats(sut, program)
        found[program] = s["process.heap-bytes"]
        shown = "  ".join(f"{n.removeprefix('process.')}={s[n]}" for n in READINGS if n in s)
        print(f"{when:<28} c4-{program:<6} {shown}", flush=True)
    return found


def calls(rig, sut, a, count):
    ok = failed = 0
    while count:
        n = min(count, 20_000)
        r = rig.run_flow(sut, "call", "blaster", a.rate, n, users=a.users)
        ok, failed, count = ok + r["ok"], failed + r["failed"], count - n
    print(f"calls: {ok} ok, {failed} failed", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("rig")
    p.add_argument("sut")
    p.add_argument("--calls", type=int, default=100_000)
    p.add_argument("--first", type=int, default=1000)
    p.add_argument("--rate", type=int, default=500)
    p.add_argument("--users", type=int, default=100)
    p.add_argument("--base", type=int, default=21460)
    a = p.parse_args()
    sys.path.insert(0, a.rig)
    import riglib as rig
    sut = rig.Sut(a.sut, base=a.base, users=a.users)
    sink = None
    try:
        sut.start()
        rig.register_callees(sut, a.users)
        sink = rig.Sink([sut.v["back1"], sut.v["back2"]])
        read(sut, "registered")
        calls(rig, sut, a, a.first)
        read(sut, f"after {a.first}")
        time.sleep(QUIET)
        first = read(sut, f"after {a.first}, {QUIET} s quiet")
        calls(rig, sut, a, a.calls)
        end = time.time()
        read(sut, f"after {a.calls}")
        time.sleep(QUIET)
        read(sut, f"after {a.calls}, {QUIET} s quiet")
        time.sleep(max(0, end + CALL_IDS - time.time()))
        last = read(sut, f"after {a.calls}, {CALL_IDS} s quiet")
    finally:
        if sink:
            sink.stop()
        sut.stop()
    for program, heap in last.items():
        print(f"c4-{program}: live heap {heap - first[program]:+d} octets over {a.calls} calls")
    sut.drop()


main()
