package lab

// HostError is a failure of the host, or of what a user has on it, before anything of
// the lab was tried.
type HostError struct{ Err error }

// Error returns the cause's text.
func (e *HostError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *HostError) Unwrap() error { return e.Err }

// ExitStatus is what a program ends with that fails for it.
func (e *HostError) ExitStatus() int { return 3 }
