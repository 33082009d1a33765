package netsetup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// unmanaged keeps systemd-networkd off the links of a network, where it runs: a
// file of systemd's own has it set up every bridge called vz-* with addresses of
// its choice, and an administrator's may match any name.
type unmanaged struct {
	Bridge string   `json:"bridge"`
	Links  []string `json:"links"`
}

// String returns "networkd off BRIDGE".
func (u unmanaged) String() string { return "networkd off " + u.Bridge }

func (u unmanaged) file() file {
	content := fmt.Sprintf("# Made by rig for the bridge %s; removed with it.\n[Match]\nName=%s\n\n[Link]\nUnmanaged=yes\n",
		u.Bridge, strings.Join(u.Links, "\nName="))
	return file{Path: filepath.Join(zoneDirs[0], unmanagedName(u.Bridge)), Content: content}
}

// unmanagedName sorts before what people and distributions call their files.
func unmanagedName(bridge string) string { return "00-rig-" + bridge + ".network" }

func (u unmanaged) lines(unmake bool) []string {
	return append(u.file().lines(unmake), "networkctl reload")
}

func (u unmanaged) present(v *view) (bool, error) { return u.file().present(v) }

func (u unmanaged) create(k *kernel) error {
	return errors.Join(u.file().create(k), reloadNetworkd())
}

// destroy is content with a networkd that has gone.
func (u unmanaged) destroy(k *kernel) error {
	if err := u.file().destroy(k); err != nil {
		return err
	}
	return reloadIfHere()
}

// unmanaged returns what keeps networkd off n: nothing, where there is none.
// A nil view is that of a host without.
func (n Network) unmanaged(v *view) ([]Object, error) {
	if v == nil {
		return nil, nil
	}
	if here, err := networkdHere(); err != nil || !here {
		return nil, err
	}
	u := unmanaged{Bridge: n.Bridge, Links: []string{n.Bridge}}
	for _, p := range n.Pairs {
		u.Links = append(u.Links, p.Local(), p.Port())
	}
	for _, t := range n.Taps {
		u.Links = append(u.Links, t.Name)
	}
	s, err := shadow(os.DirFS("/"), n.Bridge, strings.TrimPrefix(u.file().Path, "/"))
	if err == nil && s != nil {
		err = s
	}
	return []Object{u}, err
}
