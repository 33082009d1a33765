// Package alpm writes what pacman reads: package files with their .PKGINFO and
// .MTREE, and the databases that list them. It does in Go, without privileges
// and within milliseconds, what makepkg and repo-add do.
//
// A [Package] is plain data. [Write] turns it into a zstd-compressed archive and
// returns an [Entry], the line that a repository's database has for it;
// [WriteDatabase] and [WriteFilesDatabase] make core.db and core.files out of
// entries. The same input gives the same bytes, whatever the machine or the hour.
//
// The formats are those of PKGBUILD(5), alpm-repo-db(7) and mtree(5), as pacman
// 6.0 to 7.1 accept them. The package only writes; it signs nothing.
package alpm
