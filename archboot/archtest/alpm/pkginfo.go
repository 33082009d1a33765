package alpm

import (
	"bytes"
	"fmt"
)

// pkginfo renders .PKGINFO: "key = value" lines, lists as repeated keys.
func (p Package) pkginfo(installedSize int64) []byte {
	var b bytes.Buffer
	line := func(key string, value any) { fmt.Fprintf(&b, "%s = %v\n", key, value) }
	list := func(key string, values []string) {
		for _, v := range values {
			line(key, v)
		}
	}
	line("pkgname", p.Name)
	line("pkgbase", p.base())
	line("pkgver", p.Version)
	if p.Description != "" {
		line("pkgdesc", p.Description)
	}
	if p.URL != "" {
		line("url", p.URL)
	}
	line("builddate", p.buildDate().Unix())
	line("packager", p.packager())
	line("size", installedSize)
	line("arch", p.arch())
	list("license", p.Licenses)
	list("replaces", p.Replaces)
	list("group", p.Groups)
	list("conflict", p.Conflicts)
	list("provides", p.Provides)
	list("backup", p.Backup)
	list("depend", p.Depends)
	list("optdepend", p.OptDepends)
	return b.Bytes()
}
