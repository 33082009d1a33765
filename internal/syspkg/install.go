package syspkg

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Ensure installs the packages of needs that are missing. It prints their list
// to out first. Where install is false it changes nothing and returns a
// *[MissingError]. It runs the package manager through sudo when the process is
// not root, and blocks until the manager is done or the context ends. A host with
// neither manager is fine as long as nothing is missing.
func Ensure(ctx context.Context, out io.Writer, install bool, needs []Need) error {
	m, err := Detect()
	if err != nil {
		return withoutManager(err, needs)
	}
	packages := m.Missing(needs)
	if len(packages) == 0 {
		return nil
	}
	if !install {
		return &MissingError{Packages: packages, command: m.install[:2]}
	}
	fmt.Fprintf(out, "installing with %s: %s\n", m.name, strings.Join(packages, " "))
	if m.refresh != nil {
		if err := m.run(ctx, m.refresh...); err != nil {
			return err
		}
	}
	if err := m.run(ctx, append(m.install, packages...)...); err != nil {
		if m.hint != "" {
			err = fmt.Errorf("%w\n%s", err, m.hint)
		}
		return err
	}
	if left := m.Missing(needs); len(left) > 0 {
		return fmt.Errorf("still missing after %s: %s", m.name, strings.Join(left, " "))
	}
	return nil
}

// withoutManager names the files that are missing, of packages with names that we do not
// know.
func withoutManager(err error, needs []Need) error {
	var files []string
	for _, n := range needs {
		if !n.present() {
			files = append(files, n.File)
		}
	}
	if len(files) == 0 {
		return nil
	}
	return fmt.Errorf("missing %s, and %w", strings.Join(files, ", "), err)
}

// run shows the manager's output only when it fails: both managers print pages.
func (m Manager) run(ctx context.Context, argv ...string) error {
	argv = append(append([]string{"env"}, m.environ...), argv...)
	if os.Geteuid() != 0 {
		argv = append([]string{"sudo"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, output)
	}
	return nil
}
