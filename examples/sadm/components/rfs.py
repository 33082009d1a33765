"""The NFS server of the root, and what keeps accounts and keys in it up to date."""

import os
import subprocess
import sys

from components import udbsync_passwd, udbsync_passwd_nfsroot, udbsync_rootssh
from installer import copy, run

ROOT = "/export/nfsroot_ro"


def install():
    for part in udbsync_passwd, udbsync_passwd_nfsroot, udbsync_rootssh:
        part.install()
    os.makedirs(ROOT, exist_ok=True)
    if file_system(ROOT) == "overlayfs":
        sys.exit(f"install.py rfs: {ROOT} is on an overlay, which has no file handles, and NFS needs them:"
                 " keep this machine on btrfs or in a plain directory")
    copy("etc/exports")
    copy("etc/systemd/system/rootssh.path")
    copy("etc/systemd/system/rootssh.service")
    if not kernel_serves():
        copy("etc/ganesha/ganesha.conf")
        copy("etc/systemd/system/nfs-server.service")
    run("systemctl", "daemon-reload")


def file_system(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout.strip()


def kernel_serves():
    # A container cannot load modules, and often has no program for it.
    subprocess.run("modprobe -q nfsd", shell=True, stderr=subprocess.DEVNULL)
    with open("/proc/filesystems") as f:
        return "nfsd" in f.read().split()
