"""The name server's zones."""

import os

from installer import copy, service
from prologin import mdbdns


def install():
    os.makedirs(mdbdns.DIR, exist_ok=True)
    copy("etc/named.conf", "/etc/named.conf.new")
    service("mdbdns", "Zones from the machine database", user="root")
