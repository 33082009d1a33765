package walk

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prologin/rig/nspawn"
)

// Output runs a command in a machine that was left running and returns what it prints.
func Output(machine string, command ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	h, err := nspawn.Open(ctx, nspawn.HostOptions{})
	if err != nil {
		return nil, err
	}
	defer h.Close()
	m, err := h.Find(ctx, machine)
	if err != nil {
		return nil, err
	}
	return m.Command(ctx, command[0], command[1:]...).CombinedOutput()
}

// LookInside lists what a machine that was left running is like, a line for each thing:
// its packages, the units that are enabled and whether they run, the machines and users in its
// databases, what it exports, and the files that are not only of the moment. Two machines that
// went through the same stages look the same.
func LookInside(machine string) ([]string, error) {
	output, err := Output(machine, "sh", "-c", lookInside)
	look := strings.Split(strings.TrimSpace(string(output)), "\n")
	slices.Sort(look)
	return look, err
}

// Left out is what is random, such as keys, what has the time in it, such as caches
// and logs, and what a running daemon keeps for itself.
const lookInside = `export LC_ALL=C
pacman -Q
systemctl list-unit-files --state=enabled --no-legend --plain | while read -r unit rest; do
	case $unit in *@.*|*.timer) continue ;; esac
	echo "unit $unit $(systemctl is-active "$unit")"
done
systemctl --failed --no-legend --plain
query() { psql -U postgres -d "$1" -Atc "$2" 2>/dev/null | sed "s/^/$1: /"; }
query mdb 'SELECT hostname, mac, ip, aliases, mtype, room FROM mdb_machine'
query udb 'SELECT login, uid, "group" FROM udb_user'
command -v exportfs >/dev/null && exportfs -s
cd /
left_out='-path etc/pacman.d/gnupg -o -name __pycache__ -o -path root/.cache -o -path export/hfs0'
find etc opt root srv usr export -xdev \( $left_out \) -prune -o ! -type d -exec stat -c 'file %N %F %a %U:%G' {} + 2>/dev/null
find etc opt root/sadm srv -xdev \( $left_out \) -prune -o \
	-type f -size -100k ! -name 'ssh_host_*' ! -name 'shadow*' ! -name machine-id ! -name 'generated_*.zone' -exec sha256sum {} + |
	sed 's/^/content /'
grep -v SOA /dev/null etc/named/generated_*.zone 2>/dev/null || true`
