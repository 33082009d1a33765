"""Settings of network cards, for nic-configuration@CARD."""

from installer import copy, run


def install():
    copy("etc/systemd/system/nic-configuration@.service")
    run("systemctl", "daemon-reload")
