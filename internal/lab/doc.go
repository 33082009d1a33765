// Package lab puts rig's five packages together: it opens storage, a network, a
// launcher and a source of packages on this host, chosen by looking, unless an
// option insists, and told aloud, and makes of each described machine what package
// stage wants, a machine and a volume.
//
// A lab is one directory of records, one bridge and any number of machines. One
// program at a time works on it; another waits and says for whom.
package lab
