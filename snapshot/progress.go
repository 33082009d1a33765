package snapshot

// A tally counts the files of a stream that have come by, and the bytes in them.
type tally struct {
	entries, bytes int64
	report         func(entries, bytes int64) // or nil
}

func (t *tally) add(entries, bytes int64) {
	t.entries += entries
	t.bytes += bytes
	if t.report != nil {
		t.report(t.entries, t.bytes)
	}
}
