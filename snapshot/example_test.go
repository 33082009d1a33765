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
