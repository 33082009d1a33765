"""The NFS server of the root, and what keeps accounts and keys in it up to date."""

import subprocess

from components import udbsync_passwd, udbsync_passwd_nfsroot, udbsync_rootssh
from installer import copy, run


def install():
    for part in udbsync_passwd, udbsync_passwd_nfsroot, udbsync_rootssh:
        part.install()
    copy("etc/exports")
    copy("etc/systemd/system/rootssh.path")
    copy("etc/systemd/system/rootssh.service")
    if not kernel_serves():
        copy("etc/ganesha/ganesha.conf")
        copy("etc/systemd/system/nfs-server.service")
    run("systemctl", "daemon-reload")


def kernel_serves():
    # A container cannot load modules, and often has no program for it.
    subprocess.run("modprobe -q nfsd", shell=True, stderr=subprocess.DEVNULL)
    with open("/proc/filesystems") as f:
        return "nfsd" in f.read().split()
