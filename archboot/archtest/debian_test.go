package archtest_test

import (
	"testing"

	"github.com/prologin/rig/archboot/archtest"
)

func TestDebianMirror(t *testing.T) {
	m := debianMirror(t, archtest.Options{AddOns: []string{"nginx", "bind"}})
	t.Log(m.PacmanConf())
}
