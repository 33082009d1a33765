package step

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/shell"
)

// WriteFile makes a file with the given content, replacing what is there. Missing
// directories are made. The file appears whole or not at all.
type WriteFile struct {
	// Path is absolute, in the machine.
	Path string

	// Content is the text; Secret is the name of a secret to be written instead.
	Content string
	Secret  string

	// Mode holds the permission bits. Zero means 0644, or 0600 for a secret.
	Mode fs.FileMode

	// Owner is "user" or "user:group". Empty means root.
	Owner string
}

// String names the file.
func (w WriteFile) String() string { return "write " + w.Path }

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (w WriteFile) Validate() error {
	if w.Content != "" && w.Secret != "" {
		return invalid("both Content and Secret")
	}
	if strings.HasSuffix(w.Path, "/") {
		return invalid("path %q is a directory's", w.Path)
	}
	return absolute("path", w.Path)
}

func (w WriteFile) mode() fs.FileMode {
	switch {
	case w.Mode != 0:
		return w.Mode.Perm()
	case w.Secret != "":
		return 0o600
	}
	return 0o644
}

// Manual returns a cat with a here-document and what else is needed.
func (w WriteFile) Manual(string) []stage.Line {
	var lines []stage.Line
	target := shell.Quote(w.Path)
	if w.Secret != "" {
		lines = typed("install -m %o %s %s", w.mode(), shell.Quote(w.Secret), target)
	} else {
		lines = typed("%s", hereDocument("cat >"+target, w.Content))
		if w.mode() != 0o644 {
			lines = append(lines, stage.Line{Text: fmt.Sprintf("chmod %o %s", w.mode(), target)})
		}
	}
	if w.Owner != "" {
		lines = append(lines, stage.Line{Text: "chown " + shell.Quote(w.Owner) + " " + target})
	}
	return lines
}

// Ingredients adds the path, the content, the mode and the owner.
func (w WriteFile) Ingredients(r *stage.Recipe) {
	r.Text("path", w.Path)
	r.Text("mode", w.mode().String())
	r.Text("owner", w.Owner)
	if w.Secret != "" {
		r.Secret("secret content", w.Secret)
	} else {
		r.Text("content", w.Content)
	}
}

// writeScript takes a path, a mode and an owner. The file is made beside its target
// so that the rename is atomic.
const writeScript = `d=$(dirname -- "$1") && mkdir -p -- "$d" && umask 077 && t=$(mktemp -- "$d/.rig.XXXXXX") &&
{ cat >"$t" && chmod "$2" "$t" && { [ -z "$3" ] || chown "$3" "$t"; } && mv -fT -- "$t" "$1" || { rm -f -- "$t"; exit 1; }; }`

// Run writes the file.
func (w WriteFile) Run(ctx context.Context, s *stage.Session) error {
	content := []byte(w.Content)
	if w.Secret != "" {
		var err error
		if content, err = s.Secret(ctx, w.Secret); err != nil {
			return err
		}
	}
	return s.Exec(ctx, stage.Command{
		Args:  []string{"sh", "-c", writeScript, "write-file", path.Clean(w.Path), fmt.Sprintf("%o", w.mode()), w.Owner},
		Stdin: bytes.NewReader(content),
	})
}

// EditFile puts a block of lines into a file, between two marks of its own, so that
// doing it again replaces the block. The rest of the file stays as it is.
type EditFile struct {
	// Path is absolute, in the machine. A missing file is made unless After is set.
	Path string

	// Name tells this block from others in the same file.
	Name string

	// Lines is the block.
	Lines string

	// After is a line, without its end, after which the block goes when it is not
	// there yet. Empty means the end of the file. A line that is not there is an error.
	After string

	// Comment begins a comment in the file. Empty means "#".
	Comment string
}

// String names the file and the block.
func (e EditFile) String() string { return fmt.Sprintf("edit %s (%s)", e.Path, e.Name) }

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (e EditFile) Validate() error {
	if e.Name == "" || strings.ContainsAny(e.Name, "\n\\") {
		return invalid("name %q of a block", e.Name)
	}
	if strings.ContainsAny(e.After+e.Comment, "\n") {
		return invalid("After or Comment has several lines")
	}
	return absolute("path", e.Path)
}

func (e EditFile) block() (begin, block, end string) {
	comment := e.Comment
	if comment == "" {
		comment = "#"
	}
	begin, end = comment+" begin "+e.Name, comment+" end "+e.Name
	return begin, begin + "\n" + strings.TrimSuffix(e.Lines, "\n") + "\n" + end + "\n", end
}

// Manual shows the block, for an editor.
func (e EditFile) Manual(string) []stage.Line {
	_, block, _ := e.block()
	if e.After == "" {
		return typed("%s", hereDocument("cat >>"+shell.Quote(e.Path), block))
	}
	return typed("%s", hereDocument("sed -i "+shell.Quote("/^"+sedLiteral.Replace(e.After)+"$/r /dev/stdin")+" "+shell.Quote(e.Path), block))
}

// sedLiteral escapes what means something in a basic regular expression.
var sedLiteral = strings.NewReplacer(`\`, `\\`, "/", `\/`, ".", `\.`, "*", `\*`, "[", `\[`, "]", `\]`, "^", `\^`, "$", `\$`)

// Ingredients adds every field.
func (e EditFile) Ingredients(r *stage.Recipe) {
	_, block, _ := e.block()
	r.Text("path", e.Path)
	r.Text("block", block)
	r.Text("after", e.After)
}

// editProgram reads the block from standard input and takes the rest as variables of
// the environment, since awk would interpret backslashes in -v assignments.
const editProgram = `
BEGIN { begin = ENVIRON["BEGIN"]; end = ENVIRON["END"]; after = ENVIRON["AFTER"]
	while ((getline line < "-") > 0) block = block line "\n" }
$0 == begin { if (!done) printf "%s", block; done = 1; inside = 1 }
!inside { print; if (after != "" && $0 == after && !done) { printf "%s", block; done = 1 } }
$0 == end { inside = 0 }
END { if (inside) exit 3; if (!done && after != "") exit 4; if (!done) printf "%s", block }`

// editScript takes a path and the program. The new file keeps mode and owner.
const editScript = `[ -n "$AFTER" ] || [ -e "$1" ] || : >"$1" || exit 1
t=$(mktemp -- "$1.XXXXXX") && { if grep -qxF -e "$BEGIN" -- "$1"; then AFTER=; fi
cp -p -- "$1" "$t" && awk "$2" "$1" >"$t"; r=$?
case $r in 3) echo "$1: the block has no end mark" >&2;; 4) echo "$1: no line to put the block after: $AFTER" >&2;; esac
[ $r -eq 0 ] && mv -fT -- "$t" "$1" || { rm -f -- "$t"; exit 1; }; }`

// Run edits the file.
func (e EditFile) Run(ctx context.Context, s *stage.Session) error {
	begin, block, end := e.block()
	return s.Exec(ctx, stage.Command{
		Args:  []string{"sh", "-c", editScript, "edit-file", path.Clean(e.Path), editProgram},
		Env:   []string{"BEGIN=" + begin, "END=" + end, "AFTER=" + e.After},
		Stdin: strings.NewReader(block),
	})
}
