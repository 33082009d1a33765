"""Writes the hosts of the DHCP server from the machine database."""

import ipaddress
import subprocess

from prologin import files, sync

FILE = "/etc/dhcpd/generated.conf"
LAN = ipaddress.ip_network("192.168.0.0/23")


def host(machine):
    return ('host %(hostname)s { hardware ethernet %(mac)s; fixed-address %(ip)s; '
            'option host-name "%(hostname)s"; }\n' % machine)


def write(machines):
    """Write the hosts; the server reads them only when it starts."""
    text = "".join(host(m) for m in machines if ipaddress.ip_address(m["ip"]) in LAN)
    if files.replace(FILE, text):
        subprocess.run(["systemctl", "try-restart", "dhcpd4.service"], check=True)


if __name__ == "__main__":
    sync.follow("mdbsync", write)
