// Package debian turns Debian packages into Arch ones.
//
// mmdebstrap makes one fully configured tree and installs the add-ons in it one
// after another; a hook writes down what was there after each step. Then every
// file is given to the pacman package that its dpkg file list names, or, if no
// .deb owns it, to the step that brought it. Paths move to Arch's merged /usr,
// names, units and configuration to where Arch has them. No maintainer script of
// Debian's ever runs in a machine that is installed from the result.
package debian
