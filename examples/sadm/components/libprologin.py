"""The Python package that the services are in."""

import sysconfig

from installer import copy


def install():
    copy("prologin", sysconfig.get_path("purelib") + "/prologin")
