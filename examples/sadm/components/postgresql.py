"""The database server of this machine, which asks for passwords but of its administrators."""

import os

from installer import copy, run, write

DATA = "/var/lib/postgres/data"


def install():
    if not os.path.exists(DATA + "/PG_VERSION"):
        run("runuser", "-u", "postgres", "--", "initdb", "--locale=C.UTF-8", "--no-sync", "-D", DATA)
    for name in ("pg_hba.conf", "pg_ident.conf"):
        copy("etc/postgres/" + name, f"{DATA}/{name}")
    settings = DATA + "/postgresql.auto.conf"
    write(settings, "listen_addresses = '*'\n")
    run("chown", "postgres:", settings)
