package netsetup

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// salvage finds what belongs to a network by the marks that links and rules
// bear, and lists how to destroy it.
func (h *Host) salvage(bridge string) (Changes, error) {
	v, err := h.kernel.look()
	if err != nil {
		return nil, err
	}
	changes, err := v.salvageUplink(bridge)
	if err != nil {
		return nil, err
	}
	if len(v.ours(bridge)) > 0 {
		changes = append(changes, Change{Delete, links{bridge}})
	}
	changes = append(changes, salvageFiles(bridge)...)
	n, err := v.native()
	if err != nil {
		return nil, err
	}
	changes = append(changes, n.salvageTables(bridge)...)
	for _, f := range []family{ipv4, ipv6} {
		rules, err := v.salvageRules(bridge, f)
		if errors.Is(err, exec.ErrNotFound) {
			continue // no iptables, no rules
		}
		if err != nil {
			return nil, err
		}
		changes = append(changes, rules...)
	}
	return changes, nil
}

// salvageTables finds a network's tables in nftables.
func (n *native) salvageTables(bridge string) Changes {
	ours := map[nftables.TableFamily]Object{
		nftables.TableFamilyBridge: guard{Bridge: bridge},
		nftables.TableFamilyIPv4:   table{Bridge: bridge, Family: ipv4},
		nftables.TableFamilyIPv6:   table{Bridge: bridge, Family: ipv6},
	}
	var changes Changes
	for _, c := range n.chains {
		if o := ours[c.Table.Family]; o != nil && c.Table.Name == tableName(bridge) {
			changes = append(changes, Change{Delete, o})
			delete(ours, c.Table.Family)
		}
	}
	return changes
}

// salvageUplink finds an uplink on a bridge of ours, by the MAC that they share,
// and gives it what the bridge has. The bridge must not go before that is known.
func (v *view) salvageUplink(bridge string) (Changes, error) {
	br := v.links[bridge]
	if br == nil || br.Attrs().Group != groupOf(bridge) {
		return nil, nil
	}
	for _, l := range v.links {
		a := l.Attrs()
		if a.MasterIndex != br.Attrs().Index || a.Group == groupOf(bridge) || !bytes.Equal(a.HardwareAddr, br.Attrs().HardwareAddr) {
			continue
		}
		b := bridgedUplink{Bridge: bridge, Uplink: a.Name, v: v}
		err := b.rememberFrom(br)
		return Changes{{Delete, b}}, err
	}
	return nil, nil
}

// salvageFiles finds the file of a zone, which a boot may have come after, and
// with the last zone's the one for all other interfaces.
func salvageFiles(bridge string) Changes {
	var changes Changes
	for _, dir := range zoneDirs {
		path := filepath.Join(dir, zoneFile(bridge))
		if !exists(path) {
			continue
		}
		changes = append(changes, Change{Delete, file{Path: path}})
		zones, _ := filepath.Glob(filepath.Join(dir, zoneFile("*")))
		if len(zones) == 1 {
			changes = append(changes, Change{Delete, file{Path: filepath.Join(dir, unmanagedFile)}})
		}
	}
	if len(changes) > 0 {
		changes = append(changes, Change{Delete, networkd{}})
	}
	if u := (unmanaged{Bridge: bridge}); exists(u.file().Path) {
		changes = append(changes, Change{Delete, u})
	}
	return changes
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (v *view) salvageRules(bridge string, f family) (Changes, error) {
	var changes Changes
	for _, c := range hooks {
		have, err := v.chain(chainID{f, c.table, c.host})
		if err != nil {
			return nil, err
		}
		for _, text := range have.rules {
			if strings.Contains(text, `--comment "rig `+bridge+`: `) {
				r := rule{Family: f, Table: c.table, Chain: c.host, Place: 1, Spec: splitRule(text)}
				changes = append(changes, Change{Delete, r})
			}
		}
	}
	for _, c := range hooks {
		id := chainID{f, c.table, chainName(bridge, c.name)}
		have, err := v.chain(id)
		if err != nil {
			return nil, err
		}
		ours := Change{Delete, chain{f, c.table, id.name}}
		if have.exists && !slices.Contains(changes, ours) {
			changes = append(changes, ours)
		}
	}
	return changes, nil
}

// splitRule takes a line of iptables -S apart into its words. A quoted word may
// hold spaces, and quotes and backslashes after a backslash.
func splitRule(text string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped, begun := false, false, false
	for _, c := range text {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped, begun = true, true
		case c == '"':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}
