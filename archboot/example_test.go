package archboot_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/prologin/rig/archboot"
)

func ExampleBootstrap() {
	password, err := os.Open("/etc/lab/root_password")
	if err != nil {
		log.Fatal(err)
	}
	defer password.Close()
	keys, err := os.ReadFile("/usr/share/pacman/keyrings/archlinux.gpg")
	if err != nil {
		log.Fatal(err)
	}
	// From a dated archive, the same packages are installed next year.
	archive := archboot.ArchiveServer("https://archive.example.org", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	err = archboot.Bootstrap(context.Background(), "/var/lib/machines/gw", archboot.Config{
		Repositories: []archboot.Repository{
			{Name: "core", Servers: []string{archive}},
			{Name: "extra", Servers: []string{archive}},
		},
		Keys:     [][]byte{keys},
		Hostname: "gw",
		Locale:   "en_US.UTF-8",
		TimeZone: "Europe/Paris",
		Password: password,
		Progress: func(e archboot.Event) { fmt.Println(e) },
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A base is filed under its key, and each clone gets an identity.
func ExampleIdentify() {
	base := archboot.Config{Locale: "fr_FR.UTF-8"}
	fmt.Println("the base is called base-" + base.Key()[:12])

	// … clone the base to /var/lib/machines/web …
	err := archboot.Identify(context.Background(), "/var/lib/machines/web", archboot.Identity{
		Hostname:  "web",
		MachineID: archboot.DeriveMachineID("prolo", "web"),
	})
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleArchiveServer() {
	fmt.Println(archboot.ArchiveServer("https://archive.example.org/", time.Date(2018, 5, 1, 0, 0, 0, 0, time.UTC)))
	// Output: https://archive.example.org/repos/2018/05/01/$repo/os/$arch
}

func ExampleDeriveMachineID() {
	fmt.Println(archboot.DeriveMachineID("prolo", "gw"))
	// Output: 3645d57c4a394d93992a7b09ed0ca88d
}

// A base is made once for each configuration and state of the mirror, and cloned for each
// machine.
func ExampleCache() {
	ctx := context.Background()
	cache := archboot.Cache{Dir: "/var/cache/lab"}
	base, err := cache.Base(ctx, archboot.Config{Packages: []string{"base", "openssh"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"gw", "web"} {
		root := filepath.Join("/var/lib/machines", name)
		if err := os.Mkdir(root, 0o700); err != nil {
			log.Fatal(err)
		}
		err := archboot.Clone(ctx, base, root, archboot.Identity{
			Hostname:  name,
			MachineID: archboot.DeriveMachineID("lab", name),
		})
		if err != nil {
			log.Fatal(err)
		}
	}
}

// A host without pacman borrows that of a bootstrap tarball, of which the signature is
// verified.
func ExampleConfig_Probe() {
	config := archboot.Config{
		Repositories: []archboot.Repository{{Name: "core", Servers: []string{"https://mirror.example.org/$repo/os/$arch"}}},
		Keys:         [][]byte{[]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n…")},
		Source: archboot.Source{
			Tarball:      "https://mirror.example.org/iso/latest/archlinux-bootstrap-x86_64.tar.zst",
			Fingerprints: []string{"0123456789ABCDEF0123456789ABCDEF01234567"},
		},
	}
	method, why, err := config.Probe()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(method, "since", why)
}
