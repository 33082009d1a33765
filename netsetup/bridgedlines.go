package netsetup

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func (b bridgedUplink) lines(unmake bool) []string {
	from, to := b.Uplink, b.Bridge
	lines := []string{"ip link set " + to + " up", "ip link set " + from + " master " + to, "ip link set " + from + " up"}
	if unmake {
		from, to = to, from
		lines = []string{"ip link set " + to + " nomaster"}
	}
	for _, a := range b.Addresses {
		lines = append(lines, "ip address replace "+addressText(a, to)+" dev "+to)
	}
	for _, a := range slices.Backward(b.Addresses) { // the primary one takes the others along
		if unmake && a.IP.To4() == nil {
			continue // went when the bridge went down
		}
		lines = append(lines, "ip address delete "+localText(a)+" dev "+from)
	}
	for _, r := range b.Routes {
		lines = append(lines, routeLine(r, to))
	}
	return lines
}

// addressText is an address on a link with all that is not as ip(8) would have it.
func addressText(a netlink.Addr, link string) string {
	text := localText(a)
	add := func(when bool, format string, args ...any) {
		if when {
			text += " " + fmt.Sprintf(format, args...)
		}
	}
	add(a.Broadcast != nil && !a.Broadcast.IsUnspecified(), "broadcast %v", a.Broadcast)
	add(strings.HasPrefix(a.Label, link+":"), "label %s", a.Label)
	add(a.Scope != 0, "scope %d", a.Scope)
	add(a.Flags&unix.IFA_F_NOPREFIXROUTE != 0, "noprefixroute")
	add(a.Flags&unix.IFA_F_HOMEADDRESS != 0, "home")
	add(a.Flags&unix.IFA_F_MANAGETEMPADDR != 0, "mngtmpaddr")
	add(a.ValidLft > 0 && a.ValidLft < math.MaxUint32, "valid_lft %d preferred_lft %d", a.ValidLft, a.PreferedLft)
	return text
}

func localText(a netlink.Addr) string {
	if a.Peer != nil {
		return fmt.Sprintf("%v peer %v", a.IP, a.Peer)
	}
	return a.IPNet.String()
}

// routeLine is the command that puts a route on a link, in place of one of the same
// destination, table and metric.
func routeLine(r netlink.Route, link string) string {
	line := "ip"
	add := func(when bool, format string, args ...any) {
		if when {
			line += " " + fmt.Sprintf(format, args...)
		}
	}
	add(r.Family == unix.AF_INET6, "-6")
	add(true, "route replace")
	add(r.Type != unix.RTN_UNICAST, "type %d", r.Type)
	if isDefault(r) {
		add(true, "default")
	} else {
		add(true, "%v", r.Dst)
	}
	add(r.Gw != nil, "via %v", r.Gw)
	add(true, "dev %s", link)
	add(r.Table != unix.RT_TABLE_MAIN, "table %d", r.Table)
	add(r.Priority != 0, "metric %d", r.Priority)
	add(r.Tos != 0, "tos %d", r.Tos)
	add(r.Src != nil, "src %v", r.Src)
	add(r.Scope != 0, "scope %v", r.Scope)
	add(r.Protocol != unix.RTPROT_BOOT, "proto %v", r.Protocol)
	add(r.Flags&int(netlink.FLAG_ONLINK) != 0, "onlink")
	add(r.MTU != 0, "mtu %d", r.MTU)
	add(r.AdvMSS != 0, "advmss %d", r.AdvMSS)
	add(r.InitCwnd != 0, "initcwnd %d", r.InitCwnd)
	add(r.InitRwnd != 0, "initrwnd %d", r.InitRwnd)
	return line
}
