package nspawn

import (
	"bytes"
	"io"
	"os"
	"strings"
)

// consoleLines is how much of a console an error carries.
const consoleLines = 20

// lastLines reads the end of a log, without what would confuse a terminal.
func lastLines(path string, n int) []string {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	const enough = 16 << 10
	if info, err := file.Stat(); err == nil && info.Size() > enough {
		if _, err := file.Seek(-enough, io.SeekEnd); err != nil {
			return nil
		}
	}
	data, err := io.ReadAll(io.LimitReader(file, enough))
	if err != nil {
		return nil
	}
	return tailLines(data, n)
}

// tailLines splits text into its last n lines.
func tailLines(data []byte, n int) (lines []string) {
	data = bytes.TrimRight(data, "\r\n")
	for len(data) > 0 && len(lines) < n {
		start := bytes.LastIndexByte(data, '\n') + 1
		if line := printable(string(data[start:])); line != "" {
			lines = append([]string{line}, lines...)
		}
		data = bytes.TrimRight(data[:start], "\r\n")
	}
	return lines
}

// printable drops control characters and the escape sequences of terminals.
func printable(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == 0x1b && i+1 < len(line) && line[i+1] == '[' {
			for i += 2; i < len(line) && (line[i] < '@' || line[i] > '~'); i++ {
			}
			continue
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			b.WriteByte(c)
		}
	}
	return strings.TrimSpace(b.String())
}
