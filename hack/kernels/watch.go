// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// watcher reads the results of the parts as they come, and prints each.
type watcher struct {
	run      testRun
	kernel   kernel
	rest     []byte // an unfinished line
	parts    int
	failures []error
}

// Write takes what the script prints.
func (w *watcher) Write(text []byte) (int, error) {
	w.rest = append(w.rest, text...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(text), nil
		}
		w.rest = rest
		w.line(string(line))
	}
}

func (w *watcher) line(line string) {
	var folder string
	var status, seconds int
	if _, err := fmt.Sscanf(line, resultPrefix+"%s %d %d", &folder, &status, &seconds); err != nil {
		w.kernel.say("%s", line)
		return
	}
	w.parts++
	chosen, err := choose([]string{folder}, true)
	if err != nil {
		w.failures = append(w.failures, err)
		return
	}
	p := chosen[0]
	log, err := os.ReadFile(w.run.logOf(w.kernel, p))
	if err != nil {
		w.failures = append(w.failures, err)
		return
	}
	s := summarize(string(log))
	switch {
	case status != 0:
		w.kernel.say("FAIL  %-26s %4d s", folder, seconds)
		w.failures = append(w.failures, w.failure(p, status, s))
	case s.passed == 0:
		w.kernel.say("FAIL  %-26s %4d s, no test ran", folder, seconds)
		w.failures = append(w.failures, fmt.Errorf("on kernel %s, no test of %s ran", w.kernel.name, folder))
	default:
		w.kernel.say("ok    %-26s %4d s, %d tests, %d skipped", folder, seconds, s.passed, s.skipped)
	}
}

func (w *watcher) failed() error { return errors.Join(w.failures...) }

// failure is the error of a part that failed: what failed, and the commands that repeat it.
func (w *watcher) failure(p part, status int, s summary) error {
	var b strings.Builder
	fmt.Fprintf(&b, "on kernel %s, %s failed (status %d)", w.kernel.name, p.folder, status)
	b.WriteString("\n" + s.failed)
	for _, test := range s.tests {
		fmt.Fprintf(&b, "\n\t%s RUN='^%s$$'", w.run.repeat(w.kernel, p), test)
	}
	if len(s.tests) == 0 {
		b.WriteString("\n" + tail(w.run.logOf(w.kernel, p)) + "\n\t" + w.run.repeat(w.kernel, p))
	}
	relative, err := filepath.Rel(w.run.top, w.run.logOf(w.kernel, p))
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n\twhat it printed is in %s", relative)
	return errors.New(b.String())
}

// summary is what a package's tests printed, in short.
type summary struct {
	passed, skipped int
	tests           []string // top-level tests that failed
	failed          string   // the output of what failed
}

var (
	verdict  = regexp.MustCompile(`^( *)--- (PASS|FAIL|SKIP): (\S+)`)
	announce = regexp.MustCompile(`^=== (?:RUN|PAUSE|CONT|NAME) +(\S+)`)
)

// failedLines bounds the output that is repeated of a package.
const failedLines = 80

// summarize reads what a test binary printed with -test.v: what is printed is of the test that was announced last,
// until the verdicts.
func summarize(log string) summary {
	var s summary
	var failed []string
	said, current := map[string][]string{}, ""
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\r\n")
		if found := announce.FindStringSubmatch(line); found != nil {
			current = found[1]
			continue
		}
		found := verdict.FindStringSubmatch(line)
		if found == nil {
			said[current] = append(said[current], line)
			continue
		}
		top := found[1] == ""
		switch found[2] {
		case "FAIL":
			failed = append(append(failed, line), said[found[3]]...)
			if top {
				s.tests = append(s.tests, found[3])
			}
		case "SKIP":
			s.skipped++
		default:
			if top {
				s.passed++
			}
		}
		delete(said, found[3])
		current = ""
	}
	if len(failed) > failedLines {
		failed = append(failed[:failedLines], fmt.Sprintf("... and %d lines more", len(failed)-failedLines))
	}
	s.failed = strings.Join(failed, "\n")
	return s
}
