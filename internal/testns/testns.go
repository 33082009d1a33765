// Package testns runs tests in namespaces of their own.
package testns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Again runs this test program again, as a child with the given attributes and further
// variables in its environment, by which it is to know that it is the child. It returns
// the status to exit with.
func Again(attributes *syscall.SysProcAttr, environment ...string) int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attributes
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
