"""Writes the zones of the name server from the machine database."""

import subprocess
import zlib

from prologin import files, sync

DIR = "/etc/named/"
SUBNETS = ("192.168.0", "192.168.1", "192.168.250")
ALIEN_GATEWAY = "192.168.250.254"  # what machines that are not in the database know of gw

HEADER = """$TTL 60
@ IN SOA ns.prolo. root.prolo. ( {serial} 600 60 86400 60 )
@ IN NS ns.prolo.
"""


def names(machine):
    return [machine["hostname"], *filter(None, machine["aliases"].split(","))]


def reverse(subnet, machines):
    """Return the records of a reverse zone."""
    return [f"{m['ip'].rsplit('.', 1)[1]} IN PTR {m['hostname']}.prolo."
            for m in machines if m["ip"].rsplit(".", 1)[0] == subnet]


def zones(machines):
    """Return the records of each zone, by file."""
    normal = [f"{name} IN A {m['ip']}" for m in machines for name in names(m)]
    alien = [f"{name} IN A {ALIEN_GATEWAY}" for m in machines if m["hostname"] == "gw" for name in names(m)]
    result = {"generated_prolo_normal.zone": normal, "generated_prolo_alien.zone": alien}
    for subnet in SUBNETS:
        arpa = ".".join(reversed(subnet.split("."))) + ".in-addr.arpa"
        result[f"generated_{arpa}.zone"] = reverse(subnet, machines)
    return result


def write(machines):
    """Write the zones that have changed, and have the name server read them."""
    changed = False
    for name, records in zones(machines).items():
        body = "\n".join(records) + "\n"
        # No other server copies the zones: a serial need not grow, only differ.
        text = HEADER.format(serial=zlib.crc32(body.encode())) + body
        changed |= files.replace(DIR + name, text)
    if changed:
        subprocess.run(["systemctl", "try-reload-or-restart", "named.service"], check=True)


if __name__ == "__main__":
    sync.follow("mdbsync", write)
