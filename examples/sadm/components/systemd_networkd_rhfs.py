"""The network of rhfs: its address comes from gw."""

from installer import copy


def install():
    copy("etc/systemd/network/10-rhfs.network")
