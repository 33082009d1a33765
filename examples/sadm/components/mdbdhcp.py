"""The DHCP server's hosts."""

from installer import copy, run, service, write
from prologin import mdbdhcp


def install():
    copy("etc/dhcpd.conf", "/etc/dhcpd.conf.new")
    write(mdbdhcp.FILE, "")
    copy("etc/systemd/system/dhcpd4.service.d/restart.conf")
    service("mdbdhcp", "DHCP hosts from the machine database", user="root")
