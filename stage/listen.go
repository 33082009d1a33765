package stage

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// firstEphemeral begins the ports that the kernel gives to clients, see
// ip_local_port_range in ip-sysctl. A UDP socket there is no server's.
const firstEphemeral = 32768

// tables prints the machine's sockets, each table of proc_net(5) after its name. One
// that is not there, as without IPv6, is left out.
const tables = `for t in tcp tcp6 udp udp6; do echo "$t"; cat "/proc/net/$t" 2>/dev/null; done; :`

// listening returns what accepts connections or datagrams in the machine, such as "tcp
// 0.0.0.0:80".
func (s *Session) listening(ctx context.Context) ([]string, error) {
	data, err := s.Output(ctx, "sh", "-c", tables, "sockets")
	return parseSockets(string(data)), err
}

// listen records what the machine listens at with the tree of the given key. It is of
// use to people only: what cannot be read is not known.
func (m *machine) listen(ctx context.Context, s *Session, key string) {
	ports, err := s.listening(ctx)
	if err != nil {
		m.log.Debug("no table of sockets", "machine", m.setup.Machine, "err", err)
		return
	}
	if err := m.dir.savePorts(key, ports); err != nil {
		m.note("ports not recorded: %v", err)
	}
}

func parseSockets(text string) []string {
	states := map[string]string{"tcp": "0A", "udp": "07"} // TCP_LISTEN, TCP_CLOSE
	var out []string
	network := ""
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 1 {
			network = strings.TrimSuffix(f[0], "6")
		}
		if len(f) < 4 || f[3] != states[network] {
			continue
		}
		at, err := parseSocketAddress(f[1])
		if err == nil && (network == "tcp" || at.Port() < firstEphemeral) {
			out = append(out, network+" "+at.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// parseSocketAddress reads an address, printed as numbers of 32 bits that hold its bytes
// in the order of the machine, and a port.
func parseSocketAddress(text string) (at netip.AddrPort, err error) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return at, fmt.Errorf("address %q", text)
	}
	for word := range slices.Chunk(raw, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	addr, ok := netip.AddrFromSlice(raw)
	number, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return at, fmt.Errorf("address %q", text)
	}
	return netip.AddrPortFrom(addr, uint16(number)), nil
}
