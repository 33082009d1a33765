// Package docs has the tests of the guide: its links lead somewhere, its programs
// compile, and its commands are ones that exist.
package docs
