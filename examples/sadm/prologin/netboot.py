"""Tells machines that boot over the network what to boot, and registers new ones."""

import re

from prologin import http

PORT = 20020
OPTIONS = "root=/dev/nfs ip=:::::eth0:dhcp nosplash rootdelay=0 console=tty0 console=ttyS0"
ROOMS = ("pasteur", "masters", "alt")

FIRST = """#!ipxe
echo Booting from netboot.prolo
chain http://netboot/boot?mac=${net0/mac}
"""

MENU = """#!ipxe
:start
menu This machine (${{net0/mac}}) is not registered: where is it?
{items}
item --gap
item shell iPXE shell
choose room || goto start
iseq ${{room}} shell && shell || goto name
:name
echo -n Its name:${{}}
read hostname
chain http://netboot/register?mac=${{net0/mac}}&hostname=${{hostname}}&room=${{room}} || goto start
"""

KERNEL = """#!ipxe
echo Booting {hostname} ({ip}), whose files are on rfs{rfs}
kernel http://netboot/static/kernel initrd=initrd {options} nfsroot=rfs{rfs}:/export/nfsroot_ro,ro
initrd http://netboot/static/initrd
boot
"""

app = http.Service("netboot", PORT)


def script(machine):
    return http.Text(KERNEL.format(options=OPTIONS, **machine))


@app.route("GET", "/bootstrap")
def bootstrap(request):
    return http.Text(FIRST)


@app.route("GET", "/boot")
def boot(request):
    mac = request.args.get("mac", "").lower()
    known = http.get("http://mdb/call/query?mac=" + mac) if re.fullmatch(r"[0-9a-f:]{17}", mac) else []
    if known:
        return script(known[0])
    return http.Text(MENU.format(items="\n".join(f"item {room} {room}" for room in ROOMS)))


@app.route("GET", "/register")
def register(request):
    wanted = {field: request.args.get(field, "") for field in ("mac", "hostname", "room")}
    try:
        http.post("http://mdb/call/register", {**wanted, "mtype": "user"}, service="mdb")
    except OSError as e:
        raise http.Failure(409, str(e))
    # Its lease is that of an unknown machine: it has to ask again.
    return http.Text("#!ipxe\necho Registered. Restarting\nreboot\n")


if __name__ == "__main__":
    app.run()
