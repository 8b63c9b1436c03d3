#!/usr/bin/env python3
"""What a contact or a dialog keeps resident: at once, with the transactions that linger 32 s (RFC 3261 §17), and without.

    resident.py RIG c4-proxy.toml contacts|dialogs [--count 100000] [--rate 400] [--base 21560]

RIG is the folder of the load rig (riglib.py, blaster); $C4_BIN that of the binaries. The rig's own `mem` and `dialogs` read
a second after the load, when every transaction still lingers.
"""
import argparse, os, subprocess, sys, time

LINGER = 42


def stats(sut):
    out = subprocess.run([os.path.expandvars("$C4_BIN/c4"), "stats", "--socket", f"{sut.rundir}/proxy.ctl"],
                         capture_output=True, text=True, check=True).stdout
    return {n: int(v) for n, v in (l.split(" ", 1) for l in out.splitlines() if " " in l) if v.lstrip("-").isdigit()}


class Reader:
    """Readings against the first one."""

    def __init__(self, sut, count):
        self.sut, self.count = sut, count
        self.pss, self.heap = sut.mem()["pss_kb"], stats(sut)["process.heap-bytes"]

    def read(self, when):
        s, pss = stats(self.sut), self.sut.mem()["pss_kb"]
        print(f"{when:<22} contacts={s['contacts']} dialogs={s['dialogs']} transactions={s['transactions']} pss={pss} kB"
              f"  each: resident {(pss - self.pss) * 1024 / self.count:.0f}"
              f" heap {(s['process.heap-bytes'] - self.heap) / self.count:.0f}", flush=True)


def contacts(rig, sut, a):
    time.sleep(1)
    reader = Reader(sut, a.count)
    for _ in range(4):      # a lost datagram is a contact too few: the range is offered again
        r = rig.run_blaster("reg", target=sut.entry("udp"), rate=0, window=32, calls=a.count, users=a.count, first_user=0)
        if r["failed"] == 0:
            break
    time.sleep(1)
    reader.read("registered")
    time.sleep(LINGER)
    reader.read(f"{LINGER} s later")


def dialogs(rig, sut, a):
    rig.register_callees(sut, 100)
    sink = rig.Sink([sut.v["back1"], sut.v["back2"]])
    try:
        rig.run_flow(sut, "call", "blaster", a.rate, 2000, "udp", 100)
        time.sleep(LINGER)
        reader = Reader(sut, a.count)
        ramp = a.count / a.rate
        hold = int((ramp + LINGER + 8) * 1000)
        calls = subprocess.Popen(rig.blaster("call", target=sut.entry("udp"), rate=a.rate, calls=a.count, users=100,
                                             hold_ms=hold), stdout=subprocess.DEVNULL)
        time.sleep(ramp + 1)
        reader.read("set up")
        time.sleep(LINGER)
        reader.read(f"held, {LINGER} s later")
        calls.wait()
        time.sleep(LINGER)
        reader.read(f"{LINGER} s after the BYEs")
    finally:
        sink.stop()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("rig")
    p.add_argument("sut")
    p.add_argument("what", choices=["contacts", "dialogs"])
    p.add_argument("--count", type=int)
    p.add_argument("--rate", type=int, default=400)
    p.add_argument("--base", type=int, default=21560)
    a = p.parse_args()
    a.count = a.count or (100_000 if a.what == "contacts" else 10_000)
    sys.path.insert(0, a.rig)
    import riglib as rig
    sut = rig.Sut(a.sut, base=a.base, users=a.count if a.what == "contacts" else 100)
    try:
        sut.start()
        (contacts if a.what == "contacts" else dialogs)(rig, sut, a)
    finally:
        sut.stop()
    sut.drop()


main()
