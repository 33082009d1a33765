// Package qemu boots a virtual machine over the network, to see what a computer
// without a disk sees: its firmware, its console and its screen. QEMU emulates it
// in software, so that no hardware support is needed; a second of the machine is
// some seconds here.
package qemu
