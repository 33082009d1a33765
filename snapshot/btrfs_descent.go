package snapshot

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// An ancestor is a subvolume, alive or deleted, that another one was until the end of
// a transaction: from then on it was changed on its own.
type ancestor struct {
	uuid  [16]byte
	until uint64
}

// mostAncestors keeps records short. Snapshots that are compared are close relatives.
const mostAncestors = 8

// descentOf returns what the subvolume has been, itself first, as far as the file
// system still knows.
func descentOf(subvol *os.File) ([]ancestor, error) {
	info, err := infoOf(subvol)
	if err != nil {
		return nil, err
	}
	list := []ancestor{{info.UUID, lastNumber}}
	parent, since := info.ParentUUID, info.OTransID
	for parent != [16]byte{} && len(list) < mostAncestors {
		list = append(list, ancestor{parent, since})
		var ok bool
		if parent, since, ok, err = parentOf(subvol, parent); err != nil || !ok {
			return list, err
		}
	}
	return list, nil
}

// parentOf finds the subvolume with that UUID on the file system of dir, and returns
// what it is a snapshot of and since which transaction, or false if it was deleted.
func parentOf(dir *os.File, uuid [16]byte) (parent [16]byte, since uint64, ok bool, err error) {
	low, high := binary.LittleEndian.Uint64(uuid[:]), binary.LittleEndian.Uint64(uuid[8:])
	key := itemsOf(uuidTree, low, uuidSubvolume, uuidSubvolume)
	key.minOffset, key.maxOffset = high, high
	_, ids, ok, err := newSearch(dir, key).next()
	if err != nil || !ok || len(ids) < 8 {
		return parent, 0, false, err
	}
	_, root, ok, err := newSearch(dir, itemsOf(rootTree, binary.LittleEndian.Uint64(ids), rootItem, rootItem)).next()
	const parentAt, sinceAt = 263, 303 // in struct btrfs_root_item
	if err != nil || !ok || len(root) < sinceAt+8 {
		return parent, 0, false, err
	}
	return [16]byte(root[parentAt:]), binary.LittleEndian.Uint64(root[sinceAt:]), true, nil
}

// until shortens each ancestor's time: for what was frozen of a subvolume back then.
func until(list []ancestor, transaction uint64) []ancestor {
	for i := range list {
		list[i].until = min(list[i].until, transaction)
	}
	return list
}

// parting is the transaction up to which two subvolumes were one, or false if they
// are not known to have been.
func parting(a, b []ancestor) (transaction uint64, ok bool) {
	times := map[[16]byte]uint64{}
	for _, x := range a {
		if _, nearer := times[x.uuid]; !nearer {
			times[x.uuid] = x.until
		}
	}
	for _, x := range b {
		if t, common := times[x.uuid]; common {
			return min(t, x.until), true
		}
	}
	return 0, false
}

// formatDescent and parseDescent are for records. What does not parse is left out: the
// trees are then walked.
func formatDescent(list []ancestor) string {
	var text []string
	for _, x := range list {
		text = append(text, fmt.Sprintf("%x@%d", x.uuid, x.until))
	}
	return strings.Join(text, " ")
}

func parseDescent(text string) (list []ancestor) {
	for _, word := range strings.Fields(text) {
		id, at, _ := strings.Cut(word, "@")
		uuid, err := hex.DecodeString(id)
		transaction, err2 := strconv.ParseUint(at, 10, 64)
		if err == nil && err2 == nil && len(uuid) == 16 {
			list = append(list, ancestor{[16]byte(uuid), transaction})
		}
	}
	return list
}
