"""The configuration of nginx: a server for each service, and who asks it."""

import os

from installer import copy


def install():
    for services in "services", "services_contest":
        os.makedirs("/etc/nginx/" + services, exist_ok=True)
    copy("etc/nginx/prologin")
    copy("etc/nginx/nginx.conf", "/etc/nginx/nginx.conf.new")
