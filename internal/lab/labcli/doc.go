// Package labcli makes programs of labs: one that sets a lab's machines up stage by
// stage, one that makes a host ready for it, and one that removes it. What the machines
// are is the caller's; all flags, their meaning and the exit statuses are the same in
// every such program.
package labcli
