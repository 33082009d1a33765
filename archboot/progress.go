package archboot

import "fmt"

// An EventKind says what an [Event] is about.
type EventKind int

// Kinds of events, in the order of a bootstrap's life.
const (
	// EventStep begins a part of the work. Text names it.
	EventStep EventKind = iota
	// EventPlan says what is to come: Total packages, and Bytes to download.
	EventPlan
	// EventDownload says that the Done-th of Total files, Text, is being fetched. Of a
	// tarball, it comes every 8 MiB, and Text says how many there are.
	EventDownload
	// EventInstall says that the Done-th of Total packages, Text, is being
	// installed.
	EventInstall
	// EventWarning is something that the caller should know of. Text says what.
	EventWarning
)

// An Event tells how far a bootstrap has come.
type Event struct {
	Kind  EventKind
	Text  string
	Done  int   // counts from 1
	Total int   // 0 where it is not known
	Bytes int64 // to download, where Kind is EventPlan; rounded as pacman prints it
}

// String returns the event as a line for people.
func (e Event) String() string {
	switch e.Kind {
	case EventPlan:
		return fmt.Sprintf("%d packages, %.1f MiB to download", e.Total, float64(e.Bytes)/(1<<20))
	case EventDownload:
		if e.Total == 0 {
			return "downloading " + e.Text
		}
		return fmt.Sprintf("(%d/%d) downloading %s", e.Done, e.Total, e.Text)
	case EventInstall:
		return fmt.Sprintf("(%d/%d) installing %s", e.Done, e.Total, e.Text)
	case EventWarning:
		return "warning: " + e.Text
	}
	return e.Text
}
