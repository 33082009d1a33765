package netsetup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/godbus/dbus/v5"
)

// file is a file of networkd's that is ours.
type file struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// String returns "file PATH".
func (f file) String() string { return "file " + f.Path }

func (f file) lines(unmake bool) []string {
	if unmake {
		return []string{"rm " + f.Path}
	}
	return []string{"mkdir -p " + filepath.Dir(f.Path), "cat > " + f.Path + " <<'END'\n" + f.Content + "END"}
}

func (f file) present(*view) (bool, error) {
	b, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return string(b) == f.Content, err
}

// create writes beside the file and renames, so that networkd never reads half
// of it, nor after a power cut.
func (f file) create(*kernel) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	temp, err := os.OpenFile(f.Path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) // not a name that networkd reads
	if err != nil {
		return err
	}
	_, err = temp.WriteString(f.Content)
	if err == nil {
		err = temp.Sync()
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), f.Path)
}

func (f file) destroy(k *kernel) error {
	if k.shared[f.String()] {
		return nil
	}
	var errs []error
	for _, name := range []string{f.Path, f.Path + ".new"} {
		if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// networkd is systemd-networkd having read its files as they are: once they are
// Written, and, for the one that is not, once they are gone again.
type networkd struct {
	Written bool `json:"written"`
}

// String returns "networkd with the files" or "networkd without the files".
func (n networkd) String() string {
	if n.Written {
		return "networkd with the files"
	}
	return "networkd without the files"
}

func (n networkd) lines(unmake bool) []string {
	if n.Written == unmake {
		return nil
	}
	return []string{"networkctl reload"}
}

func (n networkd) present(*view) (bool, error) { return true, nil }

func (n networkd) create(*kernel) error {
	if !n.Written {
		return nil
	}
	return reloadNetworkd()
}

// destroy is content with a networkd that has gone, or has never been there.
func (n networkd) destroy(*kernel) error {
	if n.Written {
		return nil
	}
	return reloadIfHere()
}

// reloadIfHere is reloadNetworkd where one may not run.
func reloadIfHere() error {
	err := reloadNetworkd()
	if errors.Is(err, ErrNotSupported) {
		return nil
	}
	return err
}

// reloadNetworkd has networkd read its files, and set up anew the links that
// they now say something else of.
func reloadNetworkd() error {
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return fmt.Errorf("%w: no system bus to reach networkd by: %w", ErrNotSupported, err)
	}
	defer conn.Close()
	manager := conn.Object("org.freedesktop.network1", "/org/freedesktop/network1")
	err = manager.Call("org.freedesktop.network1.Manager.Reload", 0).Err
	if isBusError(err, noSuchName...) {
		return fmt.Errorf("%w: systemd-networkd does not run: %w", ErrNotSupported, err)
	}
	return err
}

// WaitZone waits until networkd has set up a zone's bridge, which is some time
// after the first machine of the zone was started. It hears of it by a signal.
func (h *Host) WaitZone(ctx context.Context, z Zone) error {
	return fail("wait", z.Bridge(), waitConfigured(ctx, z.Bridge()))
}

func waitConfigured(ctx context.Context, link string) error {
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("%w: no system bus to reach networkd by: %w", ErrNotSupported, err)
	}
	defer conn.Close()
	// Heard before asked, so that no change falls in between.
	changes := make(chan *dbus.Signal, 64)
	conn.Signal(changes)
	err = conn.AddMatchSignalContext(ctx, dbus.WithMatchInterface("org.freedesktop.DBus.Properties"),
		dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchPathNamespace("/org/freedesktop/network1"))
	if err != nil {
		return err
	}
	for {
		state, err := linkState(ctx, conn, link)
		if err != nil || state == "configured" {
			return err
		}
		// "unmanaged" is what a link is until udev has seen it, too.
		if state == "failed" {
			return fmt.Errorf("networkd says that %s is %s: see networkctl status %s", link, state, link)
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return fmt.Errorf("networkd says that %s is %s: %w", link, state, ctx.Err())
		}
	}
}

// linkState returns networkd's word for how far it has come with a link.
func linkState(ctx context.Context, conn *dbus.Conn, link string) (string, error) {
	var index int32
	var path dbus.ObjectPath
	manager := conn.Object("org.freedesktop.network1", "/org/freedesktop/network1")
	err := manager.CallWithContext(ctx, "org.freedesktop.network1.Manager.GetLinkByName", 0, link).Store(&index, &path)
	var e dbus.Error
	// networkd borrows the name of this error from resolved.
	if errors.As(err, &e) && strings.HasSuffix(e.Name, ".NoSuchLink") {
		return "absent", nil
	}
	if err != nil {
		return "", err
	}
	var state string
	err = conn.Object("org.freedesktop.network1", path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0,
		"org.freedesktop.network1.Link", "AdministrativeState").Store(&state)
	return state, err
}

// managedByNetworkd reports whether networkd sets up a link.
func managedByNetworkd(conn *dbus.Conn, link string) (bool, error) {
	state, err := linkState(context.Background(), conn, link)
	return err == nil && state != "absent" && state != "unmanaged", err
}
