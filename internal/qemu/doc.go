// Package qemu boots a virtual machine over the network, to see what a computer
// without a disk sees: its firmware, its console and its screen. Where the processor
// does not help, QEMU emulates it in software, and a second of the machine is some
// seconds here.
package qemu
