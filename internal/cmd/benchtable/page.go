package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// page renders the results as Markdown.
func page(r results, machine string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Benchmarks\n\n`make bench` wrote this page. Ours and theirs are medians, taken in one run, by turns.\nA ratio above 1 means that we are quicker.\n\n%s\n\n", machine)
	out.WriteString("![ratios](bench.svg)\n\n| what | ours | theirs | ratio | compared with |\n|---|---:|---:|---:|---|\n")
	for _, x := range r.ratios {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", x.name, x.ours, x.theirs, times(x.value), x.peer)
	}
	if len(r.facts) > 0 {
		out.WriteString("\n| figure | value |\n|---|---|\n")
	}
	for _, x := range r.facts {
		fmt.Fprintf(&out, "| %s | %s |\n", x.name, x.value)
	}
	return out.Bytes()
}

// times writes a ratio with as many digits as it deserves.
func times(value float64) string {
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f×", value)
	case value >= 10:
		return fmt.Sprintf("%.1f×", value)
	}
	return fmt.Sprintf("%.2f×", value)
}

// machine says what the figures were measured on. What cannot be found out is
// left out.
func machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		parts = append(parts, "Linux "+unix.ByteSliceToString(uts.Release[:]))
	}
	if name := osName(); name != "" {
		parts = append(parts, name)
	}
	for _, tool := range [][]string{{"systemd-nspawn", "--version"}, {"btrfs", "--version"}, {"pacman", "--version"}, {"lxc-start", "--version"}, {"podman", "--version"}} {
		if version := version(tool); version != "" {
			parts = append(parts, version)
		}
	}
	return strings.Join(append(parts, runtime.Version()), " · ")
}

func osName() string {
	text, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(text)) {
		if name, found := strings.CutPrefix(line, "PRETTY_NAME="); found {
			return strings.Trim(strings.TrimSpace(name), `"`)
		}
	}
	return ""
}

// version returns the tool's name and the first word with a digit that it prints
// about its version.
func version(tool []string) string {
	out, err := exec.Command(tool[0], tool[1:]...).Output()
	if err != nil {
		return ""
	}
	for word := range strings.FieldsSeq(string(out)) {
		if trimmed := strings.Trim(word, "(),v"); trimmed != "" && trimmed[0] >= '0' && trimmed[0] <= '9' {
			return tool[0] + " " + trimmed
		}
	}
	return ""
}
