// Package snapshot keeps writable trees and frozen copies of them, and puts a tree
// back to what any of its copies was.
//
// A [Store] is made of a directory. In it each [Volume] is a writable tree with a
// name, say the root of a machine, found at the path DIR/NAME. A [Snapshot] is a frozen
// copy of a volume, with a name and [Metadata]: a key that it is looked up by, the
// snapshot it was built upon, labels. To restore a volume is to make it a copy of one
// of its snapshots again; to clone a snapshot is to make a new volume that starts as a
// copy of it.
//
// # A volume's life
//
//	store, err := snapshot.Open(ctx, "/var/lib/rig", snapshot.Options{}) // exists
//	gw, err := store.Create(ctx, "gw")           // /var/lib/rig/gw is empty
//	…                                            // install a system in gw.Path()
//	base, err := gw.Snapshot(ctx, "base", snapshot.Metadata{Key: key})
//	…                                            // boot it, break it, stop it
//	err = gw.Restore(ctx, "base")                // at once, whatever its size
//	web, err := store.Clone(ctx, "web", base)    // a second machine from the same base
//	err = gw.Delete(ctx)                         // the tree and its snapshots
//
// # What is promised
//
// Every operation happens as a whole or not at all. It writes down what it is about
// to do, makes new trees out of sight, shows or hides them by one rename, and removes
// what is out of sight. A process that is killed at any instant leaves the old state
// or the new one; the next operation, of any process, sweeps up the rest. An operation
// that fails, for lack of space for instance, has changed nothing. A power cut may take
// back the operations of the last seconds, each as a whole and in order.
//
// What a tree stands on decides the [Driver]. [Open] probes and says which it chose
// and why in [Store.Reason]; what a driver cannot promise is in its [Capabilities],
// and what the caller cannot do without in [Options].Require, so that a host that
// lacks it is refused when the store is opened and not when a rollback is due.
//
// Btrfs is instant and shares space, and a machine may run meanwhile. Overlay is
// instant where nothing uses the volume, on most file systems. Copy works everywhere
// and takes the time of a copy. On a host that has no btrfs, [CreatePool] makes one in
// a sparse file. [Preflight] says what else a directory's stores will suffer from.
//
// # What else can be done with snapshots
//
// [Store.Checkpoint] takes one of each of several volumes. [Volume.Diff] lists what
// changed between two. [Volume.Export] writes one as a stream that [Store.Import] makes a
// volume of, on another host and with another driver, or only what differs from an older
// one, for [Volume.Import]. [Volume.GC] deletes those that nobody needs any more. Package
// snapshottest checks that a driver keeps all these promises.
//
// All this needs root, and Linux 5.8 or newer.
package snapshot
