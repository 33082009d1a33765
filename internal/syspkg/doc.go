// Package syspkg finds the programs that a command of this repository needs on
// its host and installs what is missing with the host's own package manager,
// apt or pacman.
package syspkg
