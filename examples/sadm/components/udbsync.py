"""What others follow the user database by."""

from installer import service, vhost
from prologin import udbsync


def install():
    service("udbsync", "User database synchronisation", after="nginx.service")
    vhost("udbsync", udbsync.PORT)
