package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/prologin/rig/snapshot"
)

// A host without btrfs: a pool in a file, a store in the pool, a machine's tree in
// the store, and the way back to before the stage that went wrong.
func Example() {
	ctx := context.Background()
	pool, err := snapshot.OpenPool(ctx, "/var/lib/rig/pool", "/var/lib/rig/machines")
	if errors.Is(err, snapshot.ErrNotFound) {
		pool, err = snapshot.CreatePool(ctx, "/var/lib/rig/pool", 64<<30, "/var/lib/rig/machines")
	}
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	store, err := snapshot.Open(ctx, pool.Dir(), snapshot.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println(store.Reason())

	gw, err := store.Create(ctx, "gw")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(gw.Path(), "motd"), []byte("welcome\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	if _, err := gw.Snapshot(ctx, "before", snapshot.Metadata{Key: "5f2b"}); err != nil {
		log.Fatal(err)
	}
	// … a stage that goes wrong …
	if err := gw.Restore(ctx, "before"); err != nil {
		log.Fatal(err)
	}
}

// A stage's result is looked up by the key that it was filed under.
func ExampleVolume_FindKey() {
	ctx := context.Background()
	store, err := snapshot.Open(ctx, "/var/lib/rig/machines", snapshot.Options{Existing: true})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	gw, err := store.Volume("gw")
	if err != nil {
		log.Fatal(err)
	}
	switch snap, err := gw.FindKey(ctx, "5f2b"); {
	case errors.Is(err, snapshot.ErrNotFound):
		fmt.Println("never built")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println("built at", snap.Created)
		err = gw.Restore(ctx, snap.Name)
		if errors.Is(err, snapshot.ErrBusy) {
			fmt.Println(err) // names the process that still uses the tree
		}
	}
}

// A snapshot is carried to another host as a file. With ExportOptions.Since the file has
// only what differs from an older snapshot, for Volume.Import.
func ExampleVolume_Export() {
	ctx := context.Background()
	var gw *snapshot.Volume // from Store.Volume
	file, err := os.Create("gw-base.tar.zst")
	if err != nil {
		log.Fatal(err)
	}
	digest, err := gw.Export(ctx, "base", file, snapshot.ExportOptions{})
	if err := errors.Join(err, file.Close()); err != nil {
		log.Fatal(err)
	}

	// … and there:
	var store *snapshot.Store // from Open
	file, err = os.Open("gw-base.tar.zst")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	copied, base, err := store.Import(ctx, "gw", file, snapshot.ImportOptions{Digest: digest})
	if err != nil {
		log.Fatal(err) // and the store is as before
	}
	fmt.Println(copied.Path(), "starts as", base.Name, "of", base.Created)
}

// What has changed in the tree since a snapshot was taken of it.
func ExampleVolume_Diff() {
	var gw *snapshot.Volume // from Store.Volume
	for change, err := range gw.Diff(context.Background(), "before", "") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(change.Kind, change.Path)
	}
}

// Machines that work together go back together.
func ExampleStore_Checkpoint() {
	ctx := context.Background()
	var store *snapshot.Store    // from Open
	var gw, web *snapshot.Volume // from Store.Volume
	if _, err := store.Checkpoint(ctx, "before-the-upgrade", snapshot.Metadata{}, gw, web); err != nil {
		log.Fatal(err)
	}
	for _, v := range []*snapshot.Volume{gw, web} {
		if err := v.Restore(ctx, "before-the-upgrade"); err != nil {
			log.Fatal(err)
		}
	}
}

// The five newest snapshots stay, those that are pinned, and as many more as fit into
// 20 GiB.
func ExampleVolume_GC() {
	var gw *snapshot.Volume // from Store.Volume
	deleted, err := gw.GC(context.Background(), snapshot.Keep{Last: 5, Label: "pinned", MaxBytes: 20 << 30, Wait: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(deleted), "snapshots deleted")
}
