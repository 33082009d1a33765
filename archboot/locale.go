package archboot

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/prologin/rig/internal/intree"
	"github.com/prologin/rig/internal/nearest"
)

const (
	supportedLocales = "/usr/share/i18n/SUPPORTED"
	localeList       = "/etc/locale.gen"
)

// setLocale generates the locale with the root's own localedef and makes it the
// system's language. C, C.UTF-8 and POSIX are built into glibc.
func setLocale(ctx context.Context, c *chamber, t *intree.Tree, locale string) error {
	if !builtIn(locale) {
		if err := generateLocale(ctx, c, t, locale); err != nil {
			return err
		}
	}
	return writeConf(t, "/etc/locale.conf", "LANG="+locale+"\n")
}

// builtIn says that a locale need not be generated.
func builtIn(locale string) bool {
	return strings.HasPrefix(locale, "C.") || locale == "C" || locale == "POSIX"
}

func generateLocale(ctx context.Context, c *chamber, t *intree.Tree, locale string) error {
	supported, err := readLocales(t)
	if err != nil {
		return err
	}
	charset := ""
	var names []string
	for _, line := range supported {
		name, set, _ := strings.Cut(line, " ")
		if name == locale {
			charset = strings.TrimSpace(set)
		}
		names = append(names, name)
	}
	if charset == "" {
		return missing("locale", locale, nearest.Names(locale, names))
	}
	old, err := t.ReadFile(localeList)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.WriteFile(localeList, []byte(withLocale(string(old), locale+" "+charset)), 0o644); err != nil {
		return err
	}
	return c.run(ctx, program{path: "/usr/bin/localedef", chroot: c.root, args: localedefArgs(t, locale, charset)})
}

// localedefArgs are those that locale-gen(8) gives to localedef(1). We do not need the
// shell, sed and grep that it is made of, and so can start while pacman is at work.
func localedefArgs(t *intree.Tree, locale, charset string) []string {
	name, modifier, modified := strings.Cut(locale, "@")
	definition, _, _ := strings.Cut(name, ".")
	if modified {
		definition += "@" + modifier
	}
	args := []string{"-i", definition, "-c", "-f", charset}
	const aliases = "/usr/share/locale/locale.alias"
	if _, err := t.Stat(aliases); err == nil {
		args = append(args, "-A", aliases)
	}
	return append(args, locale)
}

// readLocales returns lines of name and character set, from the list of all
// locales or, on roots without it, from what locale.gen offers in comments.
func readLocales(t *intree.Tree) ([]string, error) {
	data, err := t.ReadFile(supportedLocales)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = t.ReadFile(localeList)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if fields := strings.Fields(line); len(fields) == 2 {
			list = append(list, fields[0]+" "+fields[1])
		}
	}
	return list, nil
}

// withLocale returns a locale.gen in which the line is active.
func withLocale(old, line string) string {
	var b strings.Builder
	found := false
	for l := range strings.Lines(old) {
		text := strings.Join(strings.Fields(strings.TrimPrefix(l, "#")), " ")
		if text == line && !found {
			found = true
			l = line + "\n"
		}
		b.WriteString(l)
	}
	if !found {
		if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteString("\n")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
