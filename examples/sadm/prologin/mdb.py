"""The machine database: which machines there are, where, and what they are called."""

import ipaddress
import re

import psycopg2

from prologin import db, http
from prologin.commands import Commands

PORT = 20000
FIELDS = ("hostname", "ip", "mac", "aliases", "rfs", "hfs", "mtype", "room")
# What machines of a type are given addresses of when they register.
SUBNETS = {"user": "192.168.0.0/24", "orga": "192.168.1.128/25", "service": "192.168.1.0/25",
           "cluster": "192.168.2.0/24"}
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")

SCHEMA = """
CREATE TABLE IF NOT EXISTS mdb_machine (
    hostname text PRIMARY KEY,
    ip inet NOT NULL UNIQUE,
    mac macaddr NOT NULL UNIQUE,
    aliases text NOT NULL DEFAULT '',
    rfs integer NOT NULL DEFAULT 0,
    hfs integer NOT NULL DEFAULT 0,
    mtype text NOT NULL,
    room text NOT NULL
)"""


def machines(**wanted):
    """Return the machines whose fields have these values, all without any."""
    rows = db.query("mdb", """SELECT hostname, host(ip) AS ip, mac::text, aliases, rfs, hfs, mtype, room
                              FROM mdb_machine ORDER BY hostname""")
    return db.matching(rows, wanted)


def add(machine):
    """Add a machine; raise ValueError when it cannot be one."""
    machine = dict(machine, mac=machine["mac"].lower().replace("-", ":"))
    names = [machine["hostname"], *filter(None, machine["aliases"].split(","))]
    wrong = [name for name in names if not NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"no host name: {', '.join(wrong)}")
    if not MAC.fullmatch(machine["mac"]):
        raise ValueError(f"no MAC address: {machine['mac']}")
    if machine["mtype"] not in SUBNETS:
        raise ValueError(f"no type of machine: {machine['mtype']}; have {', '.join(SUBNETS)}")
    ipaddress.IPv4Address(machine["ip"])
    for other in machines():
        taken = {other["hostname"], *other["aliases"].split(",")} & set(names)
        if taken:
            raise ValueError(f"{', '.join(taken)}: the name belongs to {other['hostname']}")
    columns = ", ".join(FIELDS)
    try:
        db.query("mdb", f"INSERT INTO mdb_machine ({columns}) VALUES ({', '.join(['%s'] * len(FIELDS))})",
                 [machine[field] for field in FIELDS])
    except psycopg2.IntegrityError as e:
        raise ValueError(str(e).strip()) from e
    http.tell("mdbsync")


def remove(hostname):
    """Remove a machine; raise ValueError when there is none."""
    if not db.query("mdb", "DELETE FROM mdb_machine WHERE hostname = %s RETURNING hostname", [hostname]):
        raise ValueError(f"no machine {hostname}")
    http.tell("mdbsync")


def free_address(mtype):
    """Return an address that no machine has."""
    used = {machine["ip"] for machine in machines()}
    for address in ipaddress.ip_network(SUBNETS[mtype]).hosts():
        if str(address) not in used:
            return str(address)
    raise ValueError(f"no address is left for machines of type {mtype}")


def serve():
    app = http.Service("mdb", PORT)

    @app.route("GET", "/")
    def index(request):
        return http.Text("".join(f"{m['ip']}\t{m['hostname']}\n" for m in machines()))

    @app.route("GET", "/call/query")
    def query(request):
        return machines(**request.fields(FIELDS))

    @app.route("POST", "/call/register")
    def register(request):
        request.demand_trust()
        data = request.data
        machine = {"aliases": "", "rfs": 0, "hfs": 0, **data, "ip": free_address(data["mtype"])}
        try:
            add(machine)
        except ValueError as e:
            raise http.Failure(409, str(e))
        return machine

    app.run()


def addmachine(options):
    """Add a machine."""
    add({field: getattr(options, field) for field in FIELDS})


def delmachine(options):
    """Remove a machine."""
    remove(options.hostname)


def manage(args):
    """The command line of manage.py."""
    commands = Commands()
    commands.add(delmachine).add_argument("hostname")
    adding = commands.add(addmachine)
    for field in FIELDS:
        adding.add_argument("--" + field, required=True)
    commands.run(args)


if __name__ == "__main__":
    serve()
