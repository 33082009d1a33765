"""What the exported root has of SADM."""

from installer import SADM, run


def install():
    run(f"{SADM}/rfs/sadm.sh", "/export/nfsroot_staging")
