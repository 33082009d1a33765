package main

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/prologin/rig/nspawn"
)

// stages are those of the document's table for gw, in its order.
var stages = strings.Fields(`
	container_gw_network copy_sadm setup_sadm setup_gw setup_libprologin setup_network
	setup_postgresql setup_nginx setup_mdb setup_mdbsync setup_mdbdns setup_mdbdhcp
	tftpd ipxe netboot
	udb add_users_to_udb create_root_ssh_key add_ssh_key_to_udb udbsync udbsync_clients
	presencesync presencesync_sso firewall presencesync_firewall hfsdb
	last`)

// eachstage TEXT wants the output of the last command, or its messages, to have the
// text for each stage, in the order of the document. STAGE in it is the stage's name.
func eachStage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: eachstage TEXT")
	}
	rest := ts.ReadFile("stdout")
	if rest == "" {
		rest = ts.ReadFile("stderr")
	}
	for _, name := range stages {
		text := strings.ReplaceAll(args[0], "STAGE", name)
		_, after, found := strings.Cut(rest, text)
		if !found {
			ts.Fatalf("%q is missing, or comes too early", text)
		}
		rest = after
	}
}

// eventually REGEXP COMMAND is "inside" for what some daemon has yet to hear of.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP COMMAND")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	h, err := nspawn.Open(ctx, nspawn.HostOptions{})
	ts.Check(err)
	defer h.Close()
	m, err := h.Find(ctx, "mygw")
	ts.Check(err)
	pattern := regexp.MustCompile(args[0])
	for {
		output, err := m.Command(ctx, args[1], args[2:]...).CombinedOutput()
		if err == nil && pattern.Match(output) {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s printed at last (%v):\n%s", args[1], err, output)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
