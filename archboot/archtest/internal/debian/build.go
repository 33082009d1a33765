package debian

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/prologin/rig/archboot/archtest/alpm"
)

// Config says what to make.
type Config struct {
	Suite  string   // bookworm, trixie or sid
	AddOns []string // names of [AddOns]
	Mirror string   // URI of Debian's archive; default that of the host's apt
	Key    Key      // what package archlinux-keyring brings
	// Dir is an empty directory for the tree; its content is the caller's to remove.
	Dir string
	// Log gets each line that the tools print.
	Log func(line string)
}

// Key is the public key that the packages are going to be signed with.
type Key struct {
	Public      []byte // as gpg --export writes it
	Fingerprint string // hexadecimal
}

// Repositories is what a tree became.
type Repositories struct {
	Core, Extra []alpm.Package
}

//go:embed layers.sh
var layersScript []byte

// AddOns lists the names that [Config] may have in AddOns for a suite.
func AddOns(suite string) []string {
	var names []string
	for _, a := range addons {
		if !slices.Contains(a.lacking, suite) {
			names = append(names, a.name)
		}
	}
	return names
}

// Build makes the tree and partitions it. The packages' files are read from
// below Dir when they are written, so it must outlive them.
func Build(ctx context.Context, cfg Config) (*Repositories, error) {
	chosen := choose(cfg.AddOns)
	if err := makeTree(ctx, cfg, chosen); err != nil {
		return nil, err
	}
	t, err := readTree(filepath.Join(cfg.Dir, "tree"), filepath.Join(cfg.Dir, "layers"), len(chosen)+1)
	if err != nil {
		return nil, fmt.Errorf("read the Debian tree: %w", err)
	}
	p := newPartition(t, cfg.Key)
	if err := p.run(chosen); err != nil {
		return nil, fmt.Errorf("partition the Debian tree: %w", err)
	}
	coreRepo, extraRepo, err := p.packages(chosen)
	if err != nil {
		return nil, fmt.Errorf("make packages of the Debian tree: %w", err)
	}
	return &Repositories{coreRepo, extraRepo}, nil
}

// choose returns the add-ons in the order of the table, whatever that of the
// names, so that the same set gives the same mirror.
func choose(names []string) []addon {
	return slices.DeleteFunc(slices.Clone(addons), func(a addon) bool { return !slices.Contains(names, a.name) })
}

// writeScript puts the hook where mmdebstrap can run it.
func writeScript(dir string) (string, error) {
	file := filepath.Join(dir, "layers.sh")
	return file, os.WriteFile(file, layersScript, 0o755)
}

// Version changes with everything here that decides what becomes of a tree: the
// recipes, the script, the files, and converter.
func Version() string {
	h := sha256.New()
	fmt.Fprintln(h, converter, base, core, stubs, included, unwanted, plumbing, recipes, addons)
	h.Write(layersScript)
	fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			data, _ := files.ReadFile(name)
			fmt.Fprintln(h, name, len(data))
			h.Write(data)
		}
		return err
	})
	return hex.EncodeToString(h.Sum(nil))
}

// converter counts the changes to the code of this package that change packages.
const converter = 3
