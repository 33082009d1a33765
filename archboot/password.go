package archboot

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/prologin/rig/internal/intree"
)

// passwordLimit is far beyond what anybody types, and small enough that the
// wrong file is noticed.
const passwordLimit = 1024

// readPassword reads a password and returns its hash. An empty password gives
// the empty hash. No error quotes what was read.
func readPassword(r io.Reader) (hash string, err error) {
	data, err := io.ReadAll(io.LimitReader(r, passwordLimit+1))
	defer clear(data)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	password := bytes.TrimSuffix(data, []byte("\n"))
	switch {
	case len(password) > passwordLimit:
		return "", fmt.Errorf("%w: password of more than %d bytes", ErrInvalid, passwordLimit)
	case bytes.ContainsAny(password, "\x00\r\n"):
		return "", fmt.Errorf("%w: password with a NUL, a carriage return or a line break in it; is the file right?", ErrInvalid)
	case len(password) == 0:
		return "", nil
	}
	return sha512Crypt(password, cryptSalt(), cryptRounds), nil
}

// passwordHash returns what goes into /etc/shadow for the Config, empty for
// nothing.
func (c Config) passwordHash(emit func(Event)) (string, error) {
	if c.PasswordHash != "" {
		return c.PasswordHash, nil
	}
	if c.Password == nil {
		return "", nil
	}
	if f, ok := c.Password.(fs.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode()&0o004 != 0 {
			emit(Event{Kind: EventWarning, Text: "the password file " + info.Name() + " may be read by everybody: chmod o-r it"})
		}
	}
	hash, err := readPassword(c.Password)
	if err == nil && hash == "" {
		emit(Event{Kind: EventWarning, Text: "the password is empty: none is set, root cannot log in with one"})
	}
	return hash, err
}

// setPassword writes root's hash into /etc/shadow, whose owner and mode stay.
func setPassword(t *intree.Tree, hash string) error {
	const shadow = "/etc/shadow"
	mode, owner := fs.FileMode(0o600), new(syscall.Stat_t)
	info, err := t.Lstat(shadow)
	if err == nil && info.Mode().IsRegular() {
		mode, owner = info.Mode().Perm(), info.Sys().(*syscall.Stat_t)
	}
	old, err := t.ReadFile(shadow)
	if err := ignoreMissing(err); err != nil {
		return err
	}
	day := time.Now().Unix() / (24 * 60 * 60)
	return t.WriteFileOwned(shadow, []byte(shadowWith(string(old), "root", hash, day)), mode, int(owner.Uid), int(owner.Gid))
}

// shadowWith returns the content of a shadow(5) file with another hash for user,
// and the day of the change. Ageing fields stay.
func shadowWith(old, user, hash string, day int64) string {
	var b strings.Builder
	found := false
	for line := range strings.Lines(old) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if fields[0] == user && len(fields) > 2 && !found {
			found = true
			fields[1], fields[2] = hash, fmt.Sprint(day)
			line = strings.Join(fields, ":") + "\n"
		}
		b.WriteString(line)
	}
	if !found {
		if old != "" && !strings.HasSuffix(old, "\n") {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%s:%d::::::\n", user, hash, day)
	}
	return b.String()
}
