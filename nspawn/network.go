package nspawn

import "strings"

// mode names the ways chosen, of which only one may be.
func (n *Network) modes() (chosen []string) {
	for _, way := range []struct {
		name string
		set  bool
	}{
		{"Host", n.Host}, {"Veth", n.Veth}, {"Bridge", n.Bridge != ""},
		{"Zone", n.Zone != ""}, {"Namespace", n.Namespace != ""},
	} {
		if way.set {
			chosen = append(chosen, way.name)
		}
	}
	return chosen
}

// hasHost0 reports whether nspawn makes a host0 in the machine.
func (n *Network) hasHost0() bool { return n.Veth || n.Bridge != "" || n.Zone != "" }

func (n *Network) validate(f *faults) {
	if chosen := n.modes(); len(chosen) > 1 {
		f.add("Network", "%s exclude each other", strings.Join(chosen, " and "))
	}
	if n.Bridge != "" {
		f.iface("Network.Bridge", n.Bridge)
	}
	if n.Zone != "" {
		if problem := interfaceNameProblem("vz-" + n.Zone); problem != "" {
			f.add("Network.Zone", "bridge %s", problem)
		}
	}
	if n.Namespace != "" {
		f.absolute("Network.Namespace", n.Namespace)
	}
	n.validateInterfaces(f)
	n.validatePorts(f)
}

func (n *Network) validateInterfaces(f *faults) {
	for i, name := range n.Interfaces {
		f.iface(index("Network.Interfaces", i), name)
	}
	for i, name := range n.MACVLAN {
		f.iface(index("Network.MACVLAN", i), name)
	}
	for i, name := range n.IPVLAN {
		f.iface(index("Network.IPVLAN", i), name)
	}
	for i, pair := range n.Extra {
		f.iface(index("Network.Extra", i)+".Host", pair.Host)
		if pair.Machine != "" {
			f.iface(index("Network.Extra", i)+".Machine", pair.Machine)
		}
	}
	if len(n.Interfaces)+len(n.MACVLAN)+len(n.IPVLAN)+len(n.Extra) > 0 && (n.Host || n.Namespace != "") {
		f.add("Network", "interfaces cannot be added to a network namespace that is not the machine's own")
	}
	if n.MAC == nil {
		return
	}
	if !n.hasHost0() {
		f.add("Network.MAC", "there is no host0 to give it to")
	}
	if len(n.MAC) != 6 || n.MAC[0]&1 != 0 || n.MAC.String() == "00:00:00:00:00:00" {
		f.add("Network.MAC", "%q is no unicast Ethernet address", n.MAC)
	}
}

func (n *Network) validatePorts(f *faults) {
	if len(n.Ports) > 0 && !n.hasHost0() {
		f.add("Network.Ports", "ports are forwarded only with Veth, Bridge or Zone")
	}
	seen := map[Port]bool{}
	for i, port := range n.Ports {
		field := index("Network.Ports", i)
		f.oneOf(field+".Protocol", port.Protocol, "", "tcp", "udp")
		if port.Host == 0 {
			f.add(field+".Host", "is no port")
		}
		key := Port{Protocol: port.protocol(), Host: port.Host}
		if seen[key] {
			f.add(field, "%s port %d is forwarded twice", key.Protocol, key.Host)
		}
		seen[key] = true
	}
}

func (p Port) protocol() string {
	if p.Protocol == "" {
		return "tcp"
	}
	return p.Protocol
}

func (f *faults) iface(field, name string) {
	if problem := interfaceNameProblem(name); problem != "" {
		f.add(field, "%s", problem)
	}
}
