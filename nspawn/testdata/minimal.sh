systemd-nspawn --settings=no --machine=gw --directory=/var/lib/machines/gw --resolv-conf=off --timezone=off --link-journal=no --kill-signal=SIGRTMIN+4 --private-network --notify-ready=yes --boot
