module github.com/prologin/rig

go 1.26.0

require (
	github.com/containerd/btrfs/v2 v2.0.0
	github.com/google/go-cmp v0.7.0
	github.com/moby/sys/mountinfo v0.7.3
	golang.org/x/sys v0.49.0
)

require github.com/klauspost/compress v1.20.3
