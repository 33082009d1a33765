package stage

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[31mred\x1b[m", "a\rb", "\x1b]0;title\x07x", "\x1b", "\xff\x00", strings.Repeat("é", 500)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		text := printable(line)
		if !utf8.ValidString(text) || len(text) > maxTailLine+8 {
			t.Errorf("%q became %q", line, text)
		}
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Errorf("%q became %q", line, text)
			}
		}
	})
}

// FuzzHashCache makes sure that no file is taken for a hash that it never had.
func FuzzHashCache(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	f.Add(hashCacheHeader + "1 2 3 4 5 " + sum + " \"/a b\"\n")
	f.Add(hashCacheHeader + "1 2 3")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "hashes")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for path, e := range loadHashCache(file).entries {
			if len(e.sum) != 64 || !strings.Contains(text, e.sum) {
				t.Errorf("%q has hash %q", path, e.sum)
			}
		}
	})
}

func FuzzDiffLines(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nx\nc\n")
	f.Add("", "a")
	f.Fuzz(func(t *testing.T, before, after string) {
		if len(before)+len(after) > 4000 {
			t.Skip("slow enough as it is")
		}
		if got := diffLines(before, after); before == after && got != "" {
			t.Errorf("equal texts differ: %q", got)
		}
	})
}

func FuzzParseSockets(f *testing.F) {
	f.Add("tcp\n  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 0\n")
	f.Add("udp6\n   0: 00000000000000000000000001000000:0035 0:0 07\n")
	f.Add("tcp\n 0: 0:1 0:0 0A\n 1: 000000:0016 0:0 0A\n 2: zz:0016 0:0 0A")
	f.Fuzz(func(t *testing.T, text string) {
		for _, port := range parseSockets(text) {
			network, at, ok := strings.Cut(port, " ")
			if _, err := netip.ParseAddrPort(at); err != nil || !ok || network != "tcp" && network != "udp" {
				t.Errorf("%q: %v", port, err)
			}
		}
	})
}

func FuzzManifestLines(f *testing.F) {
	f.Add("-rw-r--r-- 0:0 \"abc\" \"a b\"\ndrwxr-xr-x \".\"\n")
	f.Add("\" \"\n \"\\\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		for name, line := range manifestLines(text) {
			if !strings.HasSuffix(line, `"`) && !strings.HasSuffix(line, "`") && !strings.HasSuffix(line, "'") {
				t.Errorf("%q of line %q", name, line)
			}
		}
	})
}
