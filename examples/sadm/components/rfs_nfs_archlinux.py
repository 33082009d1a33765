"""The root of the diskless machines: an Arch Linux in /export/nfsroot_staging."""

from installer import SADM, run


def install():
    run(f"{SADM}/rfs/archlinux.sh", "/export/nfsroot_staging")
