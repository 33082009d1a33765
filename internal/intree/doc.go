// Package intree reads and writes files inside a directory tree that somebody
// else controls, such as the root of a machine.
//
// A path is resolved as the machine would resolve it after chroot(2): an
// absolute symlink starts again at the tree's top and ".." at the top stays
// there. No path is ever joined by text. Every look-up is one openat2(2) with
// RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS, so a symlink that is planted while
// we look cannot lead outside either. Linux 5.6 or newer is needed.
//
// Writing never follows the last component: [Tree.WriteFile] over a symlink
// replaces the symlink. Reading opens regular files only, found out before the
// file is opened, so that a fifo or a device node in a file's place gives
// [ErrNotRegular] rather than a hang or a side effect.
//
// All errors are *[fs.PathError] around the errno, hence errors.Is with
// [fs.ErrNotExist], [fs.ErrExist] and [fs.ErrPermission] works.
package intree
