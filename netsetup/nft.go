package netsetup

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// baseChain is a chain of the host's, such as nat/POSTROUTING, that was not
// there before the first rule of ours. The nft backend of iptables makes it, and
// the table around it, by itself, and leaves both behind; they are deleted when
// no rule of anybody's is left in them. With the legacy backend there is nothing
// to make or delete.
type baseChain struct {
	Family family `json:"family"`
	Table  string `json:"table"`
	Name   string `json:"name"`
}

// String returns "IPv4 base chain nat/POSTROUTING".
func (c baseChain) String() string {
	return fmt.Sprintf("%v base chain %s/%s", c.Family, c.Table, c.Name)
}

func (c baseChain) lines(unmake bool) []string {
	if unmake {
		return []string{fmt.Sprintf("%s -t %s -X %s", c.Family.command(), c.Table, c.Name)}
	}
	return nil
}

func (c baseChain) present(*view) (bool, error) {
	err := nftCall(unix.NFT_MSG_GETCHAIN, 0, c.nfproto(),
		nftString(unix.NFTA_CHAIN_TABLE, c.Table), nftString(unix.NFTA_CHAIN_NAME, c.Name))
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return true, err
}

func (c baseChain) remember() (Object, error) { return c, nil }

func (c baseChain) create(*kernel) error { return nil }

// destroy deletes the chain and then the table, unless something is in them:
// NLM_F_NONREC has the kernel look and delete in one.
func (c baseChain) destroy(k *kernel) error {
	if k.shared[c.String()] {
		return nil
	}
	err := nftBatch(unix.NFT_MSG_DELCHAIN, c.nfproto(),
		nftString(unix.NFTA_CHAIN_TABLE, c.Table), nftString(unix.NFTA_CHAIN_NAME, c.Name))
	if err == nil || errors.Is(err, unix.ENOENT) {
		err = nftBatch(unix.NFT_MSG_DELTABLE, c.nfproto(), nftString(unix.NFTA_TABLE_NAME, c.Table))
	}
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// generation counts the transactions of nftables in the calling thread's namespace,
// iptables-nft's among them: while it stays, so do all rules. 0 is a kernel that
// does not tell.
func generation() uint32 {
	answer, err := nftAsk(nftMessage(nftType(unix.NFT_MSG_GETGEN), 0, unix.NFPROTO_UNSPEC, 0))
	if err != nil || len(answer) < unix.NLMSG_HDRLEN+4 {
		return 0
	}
	attrs, err := nl.ParseRouteAttr(answer[unix.NLMSG_HDRLEN+4:])
	if err != nil {
		return 0
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.NFTA_GEN_ID && len(a.Value) == 4 {
			return binary.BigEndian.Uint32(a.Value)
		}
	}
	return 0
}

func (c baseChain) nfproto() byte {
	if c.Family == ipv6 {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

func nftString(attr int, value string) []byte {
	return nl.NewRtAttr(attr, nl.ZeroTerminated(value)).Serialize()
}

// nftBatch sends one change as a transaction of its own: see linux/nfnetlink.h.
func nftBatch(msg int, family byte, attrs ...[]byte) error {
	begin := nftMessage(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, unix.NFNL_SUBSYS_NFTABLES)
	change := nftMessage(nftType(msg), unix.NLM_F_ACK|unix.NLM_F_NONREC, family, 0, attrs...)
	end := nftMessage(unix.NFNL_MSG_BATCH_END, 0, 0, unix.NFNL_SUBSYS_NFTABLES)
	return nftSend(append(append(begin, change...), end...))
}

// nftCall sends one question and waits for the answer's first message.
func nftCall(msg int, flags uint16, family byte, attrs ...[]byte) error {
	return nftSend(nftMessage(nftType(msg), flags|unix.NLM_F_ACK, family, 0, attrs...))
}

func nftType(msg int) uint16 { return uint16(unix.NFNL_SUBSYS_NFTABLES<<8 | msg) }

// nftMessage puts a netlink header and an nfgenmsg before the attributes.
func nftMessage(typ, flags uint16, family byte, resource uint16, attrs ...[]byte) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+4)
	native := nl.NativeEndian()
	native.PutUint16(b[4:], typ)
	native.PutUint16(b[6:], flags|unix.NLM_F_REQUEST)
	b[unix.NLMSG_HDRLEN] = family
	binary.BigEndian.PutUint16(b[unix.NLMSG_HDRLEN+2:], resource)
	for _, a := range attrs {
		b = append(b, a...)
		b = append(b, make([]byte, -len(a)&3)...)
	}
	native.PutUint32(b, uint32(len(b)))
	return b
}

// nftSend sends messages and returns the kernel's verdict on them.
func nftSend(b []byte) error {
	_, err := nftAsk(b)
	return err
}

// nftAsk sends messages and returns the first that comes back.
func nftAsk(b []byte) ([]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	answer := make([]byte, 16<<10)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return nil, err
	}
	native := nl.NativeEndian()
	if n < unix.NLMSG_HDRLEN+4 {
		return nil, fmt.Errorf("a netlink answer of %d bytes", n)
	}
	if native.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return answer[:min(n, int(native.Uint32(answer)))], nil // what was asked for
	}
	if errno := int32(native.Uint32(answer[unix.NLMSG_HDRLEN:])); errno != 0 {
		return nil, unix.Errno(-errno)
	}
	return nil, nil
}
