"""Writes the zones of the name server from the machine database."""

import subprocess
import time

from prologin import files, sync

DIR = "/etc/named/"
SUBNETS = ("192.168.0", "192.168.1", "192.168.250")
GATEWAY = "192.168.1.254"
ALIEN_GATEWAY = "192.168.250.254"  # what machines that are not in the database know of gw

SOA = "$TTL 60\n@ IN SOA ns.prolo. root.prolo. ( {serial} 600 60 86400 60 )\n"
NS = "@ IN NS ns.prolo.\n"


def names(machine):
    return [machine["hostname"], *filter(None, machine["aliases"].split(","))]


def reverse(subnet, machines):
    """Return the records of a reverse zone."""
    return [f"{m['ip'].rsplit('.', 1)[1]} IN PTR {m['hostname']}.prolo."
            for m in machines if m["ip"].rsplit(".", 1)[0] == subnet]


def zones(machines):
    """Return the records of each zone, by file."""
    hosts = {"ns": GATEWAY} | {name: m["ip"] for m in machines for name in names(m)}
    result = {
        "generated_prolo_normal.zone": [f"{name} IN A {ip}" for name, ip in hosts.items()],
        "generated_prolo_alien.zone": [f"{name} IN A {ALIEN_GATEWAY}" for name, ip in hosts.items() if ip == GATEWAY],
    }
    for subnet in SUBNETS:
        arpa = ".".join(reversed(subnet.split("."))) + ".in-addr.arpa"
        result[f"generated_{arpa}.zone"] = reverse(subnet, machines)
    return result


def written(path):
    """Return the records that a zone file has."""
    try:
        with open(path) as file:
            return file.read().partition(NS)[2]
    except FileNotFoundError:
        return None


def write(machines):
    """Write the zones that have changed, and have the name server read them."""
    changed = False
    for name, records in zones(machines).items():
        body = "".join(record + "\n" for record in records)
        if written(DIR + name) != body:
            changed = files.replace(DIR + name, SOA.format(serial=int(time.time())) + NS + body)
    if changed:
        reload("named.service")


def reload(unit):
    """Have a unit read its files again, if it runs."""
    state = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True)
    if state.stdout.strip() == "activating":
        # It may have read the old ones already, and cannot be told before it is up.
        subprocess.run(["systemctl", "start", unit], check=True)
    subprocess.run(["systemctl", "try-reload-or-restart", unit], check=True)


if __name__ == "__main__":
    sync.follow("mdbsync", write)
