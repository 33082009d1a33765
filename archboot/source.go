package archboot

import (
	"fmt"
	"os/exec"
	"regexp"
)

// A Method is where the pacman that fills the root comes from. The root is the
// same whichever it is.
type Method string

const (
	// MethodAuto takes the first of the others that is possible.
	MethodAuto Method = ""
	// MethodPacman runs the host's pacman, as pacstrap(8) does.
	MethodPacman Method = "pacman"
	// MethodTarball runs the pacman of an archlinux-bootstrap tarball, for hosts
	// that have none.
	MethodTarball Method = "tarball"
	// MethodClone copies a finished root, as [Clone] does, and gives it the settings
	// of the Config. Its packages, locale and pacman keyring stay: a base that lacks
	// one of Config.Packages is [ErrUnknownPackage].
	MethodClone Method = "clone"
)

// A Source says how to come by a pacman, or that none is needed. The zero value
// wants one on the host.
type Source struct {
	Method Method
	// Base is a finished root, or a snapshot of one, to clone.
	Base string
	// Tarball is an archlinux-bootstrap-….tar.zst or .tar.gz: a file, or an http
	// or https URL, whose server fails with [ErrMirror] if it sends nothing for half a
	// minute. pacman is taken from it, no file of it stays in the root.
	Tarball string
	// SHA256 is the tarball's checksum in hexadecimal; empty checks none.
	SHA256 string
	// Signature is the detached OpenPGP signature, a file or URL; the tarball's
	// name with ".sig" by default.
	Signature string
	// Fingerprints are the keys among Config.Keys that may have signed the
	// tarball, 40 hexadecimal digits each (64 for keys of version 6), blanks
	// ignored. Arch's releases and packages have different signers.
	Fingerprints []string
	// Unsigned accepts a tarball without a signature. Then SHA256 is required.
	Unsigned bool
}

var (
	fingerprintPattern = regexp.MustCompile(`^([0-9A-F]{40}|[0-9A-F]{64})$`)
	sha256Pattern      = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)
)

func (v *faults) source(s Source, keys [][]byte) {
	switch s.Method {
	case MethodAuto, MethodPacman, MethodTarball, MethodClone:
	default:
		v.must(false, "Source: method %q", s.Method)
	}
	v.must(s.Method != MethodTarball || s.Tarball != "", "Source: no tarball given")
	v.must(s.Method != MethodClone || s.Base != "", "Source: no base given")
	v.match("Source: SHA256", s.SHA256, sha256Pattern)
	for _, f := range s.Fingerprints {
		v.must(fingerprintPattern.MatchString(normalFingerprint(f)), "Source: fingerprint %q", f)
	}
	if s.Tarball == "" {
		return
	}
	v.must(!s.Unsigned || s.SHA256 != "", "Source: an unsigned tarball needs a SHA256")
	v.must(s.Unsigned || len(s.Fingerprints) > 0, "Source: a signed tarball needs Fingerprints")
	v.must(s.Unsigned || len(keys) > 0, "Source: a signed tarball needs Keys")
}

// Probe says which method Bootstrap will use for the Config, and why, in words
// for people. It looks at the host and touches nothing. The error is
// [ErrMissingProgram] where none is possible.
func (c Config) Probe() (method Method, why string, err error) {
	method, why, err = c.probe()
	return method, why, wrap("probe", "", err)
}

func (c Config) probe() (Method, string, error) {
	path, missing := exec.LookPath("pacman")
	switch {
	case c.Source.Method == MethodClone:
		return MethodClone, "a clone of " + c.Source.Base + ", as asked", nil
	case c.Source.Method == MethodAuto && c.Source.Base != "":
		return MethodClone, "a clone of " + c.Source.Base + ", because that is made already", nil
	case c.Source.Method == MethodTarball:
		return MethodTarball, "the bootstrap tarball, as asked", nil
	case missing == nil && c.Source.Method == MethodPacman:
		return MethodPacman, "the host's pacman, as asked", nil
	case missing == nil:
		return MethodPacman, "the host's own " + path, nil
	case c.Source.Method == MethodAuto && c.Source.Tarball != "":
		return MethodTarball, "the bootstrap tarball, because this host has no pacman", nil
	}
	return "", "", fmt.Errorf("%w; or give a bootstrap tarball", needPrograms("pacman"))
}
