package archboot

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/prologin/rig/internal/intree"
)

const mirrorList = "/etc/pacman.d/mirrorlist"

// writeMachineRepositories makes the machine's pacman use the repositories: the
// [options] of its pacman.conf stay as the package brought them, the sections
// after them are replaced.
func writeMachineRepositories(t *intree.Tree, list []Repository) error {
	if len(list) == 0 {
		return nil
	}
	old, err := t.ReadFile("/etc/pacman.conf")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no pacman in this root
	}
	if err != nil {
		return err
	}
	conf, mirrors := machineConf(string(old), list)
	if mirrors != "" {
		if err := t.MkdirAll("/etc/pacman.d", 0o755); err != nil {
			return err
		}
		if err := t.WriteFile(mirrorList, []byte(mirrors), 0o644); err != nil {
			return err
		}
	}
	return t.WriteFile("/etc/pacman.conf", []byte(conf), 0o644)
}

// machineConf renders pacman.conf and, where all repositories have the same
// servers, a mirror list that it includes, as Arch does it.
func machineConf(old string, list []Repository) (conf, mirrors string) {
	var b strings.Builder
	b.WriteString(optionsOf(old))
	shared := true
	for _, r := range list {
		shared = shared && slices.Equal(r.Servers, list[0].Servers)
	}
	if !shared {
		writeRepositories(&b, list)
		return b.String(), ""
	}
	for _, r := range list {
		b.WriteString("\n[" + r.Name + "]\n")
		writeSigLevel(&b, r)
		b.WriteString("Include = " + mirrorList + "\n")
	}
	for _, s := range list[0].Servers {
		mirrors += "Server = " + s + "\n"
	}
	return b.String(), mirrors
}

// optionsOf returns what stands before the first repository, or minimal options
// where there is nothing.
func optionsOf(conf string) string {
	var kept []string
	options := false
	for line := range strings.Lines(conf) {
		section := strings.TrimSpace(line)
		if strings.HasPrefix(section, "[") && section != "[options]" {
			break
		}
		options = options || section == "[options]"
		kept = append(kept, line)
	}
	if !options {
		return "[options]\nHoldPkg = pacman glibc\nArchitecture = auto\nCheckSpace\nSigLevel = Required DatabaseOptional\nLocalFileSigLevel = Optional\n"
	}
	// Comments right before the first section belong to it.
	for len(kept) > 0 && (strings.HasPrefix(kept[len(kept)-1], "#") || strings.TrimSpace(kept[len(kept)-1]) == "") {
		kept = kept[:len(kept)-1]
	}
	return strings.Join(kept, "")
}
