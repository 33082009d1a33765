package netsetup

import (
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// isolated is a port of a bridge that passes frames only to and from ports that
// are not isolated, which leaves it the host.
type isolated struct {
	Link string `json:"link"`
}

// String returns "isolated port LINK".
func (i isolated) String() string { return "isolated port " + i.Link }

func (i isolated) lines(unmake bool) []string {
	state := "on"
	if unmake {
		state = "off"
	}
	return []string{"bridge link set dev " + i.Link + " isolated " + state}
}

func (i isolated) present(v *view) (bool, error) {
	l := v.links[i.Link]
	if l == nil || l.Attrs().MasterIndex == 0 {
		return false, nil
	}
	ports, err := v.isolatedPorts()
	return ports[l.Attrs().Index], err
}

func (i isolated) create(k *kernel) error {
	l, err := k.existing(i.Link)
	if err != nil {
		return err
	}
	return k.nl.LinkSetIsolated(l, true)
}

func (i isolated) destroy(k *kernel) error {
	l, err := k.link(i.Link)
	if err != nil || l == nil || l.Attrs().MasterIndex == 0 {
		return err
	}
	return gone(k.nl.LinkSetIsolated(l, false))
}

// isolatedPorts asks once for the ports of all bridges, which the list of links
// does not tell enough of.
func (v *view) isolatedPorts() (map[int]bool, error) {
	if v.isolated != nil {
		return v.isolated, nil
	}
	msgs, err := retryDump(func() ([][]byte, error) {
		req := v.k.request(unix.RTM_GETLINK, unix.NLM_F_DUMP)
		req.AddData(nl.NewIfInfomsg(unix.AF_BRIDGE))
		return req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	})
	if err != nil {
		return nil, err
	}
	v.isolated = make(map[int]bool)
	for _, m := range msgs {
		index := int(nl.DeserializeIfInfomsg(m).Index)
		if v.isolated[index], err = portIsolated(m); err != nil {
			return nil, err
		}
	}
	return v.isolated, nil
}

// portIsolated looks for IFLA_BRPORT_ISOLATED in a message about a port.
func portIsolated(m []byte) (bool, error) {
	attrs, err := nl.ParseRouteAttr(m[unix.SizeofIfInfomsg:])
	if err != nil {
		return false, err
	}
	for _, a := range attrs {
		if a.Attr.Type != unix.IFLA_PROTINFO|unix.NLA_F_NESTED {
			continue
		}
		infos, err := nl.ParseRouteAttr(a.Value)
		if err != nil {
			return false, err
		}
		for _, i := range infos {
			if i.Attr.Type == nl.IFLA_BRPORT_ISOLATED && len(i.Value) > 0 {
				return i.Value[0] != 0, nil
			}
		}
	}
	return false, nil
}
