// Package archtest is to an Arch Linux mirror what net/http/httptest is to a server.
package archtest
