"""The network of gw."""

from installer import copy


def install():
    copy("etc/systemd/network/10-gw.network")
