"""The packages that every contestant gets."""

from installer import SADM, run


def install():
    with open(f"{SADM}/rfs/packages_base") as f:
        packages = f.read().split()
    run("pacstrap", "-c", "-G", "-M", "/export/nfsroot_staging", "--needed", "--noprogressbar", *packages)
