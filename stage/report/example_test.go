package report_test

import (
	"log"
	"os"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/report"
)

// A program that shows its run, keeps its events and writes a page at the end.
func ExampleRecorder() {
	var (
		plan   stage.Plan
		record report.Recorder
		lines  = report.Lines(os.Stderr, func(err error) { log.Print(err) })
	)
	opts := stage.Options{Events: func(e stage.Event) {
		record.Event(e)
		lines(e)
	}}
	_ = opts // for stage.Open; then, after its Run:
	page, err := os.Create("report.html")
	if err != nil {
		log.Fatal(err)
	}
	defer page.Close()
	if err := record.HTML(page, report.Page{Plan: plan}); err != nil {
		log.Fatal(err)
	}
}
