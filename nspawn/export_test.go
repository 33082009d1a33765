package nspawn

// OwnThread is for tests that change the namespaces of a thread.
var OwnThread = ownThread

// Cgroup is the control group above the machines of a Host.
func (h *Host) Cgroup() string { return string(h.cgroup) }
