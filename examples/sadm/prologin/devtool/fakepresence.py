"""Claims that a user is logged in on a machine until it is ended: fakepresence LOGIN HOSTNAME."""

import signal
import sys
import time

from prologin import http


def main(login, hostname):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    presence = {"login": login, "hostname": hostname}
    try:
        while True:
            http.post("http://presencesync/heartbeat", presence, service="presencesync")
            time.sleep(2)
    finally:
        http.post("http://presencesync/logout", presence, service="presencesync")


if __name__ == "__main__":
    main(*sys.argv[1:])
