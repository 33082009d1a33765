// Package sadm is a small stand-in for prologin-sadm: the same entry points, unit
// names, ports, paths and host names, on real daemons. It is what the examples
// install when there is no checkout of the real one at hand.
//
// In a machine it lies at /root/sadm. install_scripts has what is run first,
// install.py installs the components, one file each in components, and the services
// themselves are the modules of the Python package prologin.
package sadm

import "embed"

// Files is the tree, less this file's meaning for Go. Files that begin with "#!"
// are to be executable.
//
//go:embed all:*
var Files embed.FS
