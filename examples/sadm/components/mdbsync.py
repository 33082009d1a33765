"""What others follow the machine database by."""

from installer import service, vhost
from prologin import mdbsync


def install():
    service("mdbsync", "Machine database synchronisation", after="nginx.service")
    vhost("mdbsync", mdbsync.PORT)
