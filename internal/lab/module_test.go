package lab

import "testing"

func TestListsModule(t *testing.T) {
	t.Parallel()
	const list = "kernel/fs/btrfs/btrfs.ko.xz: kernel/lib/raid6/raid6_pq.ko.xz kernel/crypto/xor.ko.xz\n" +
		"kernel/drivers/block/nbd.ko:\nkernel/drivers/block/virtio_blk.ko.zst: kernel/drivers/virtio/virtio.ko.zst\n"
	for name, want := range map[string]bool{"btrfs": true, "nbd": true, "virtio_blk": true, "xor": false, "bd": false, "virtio": false, "": false} {
		if got := listsModule(list, name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	if listsModule("", "nbd") || moduleInstalled("no such module") {
		t.Error("what is not there was found")
	}
}
