// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// testRun is the tests of this project on some kernels.
type testRun struct {
	top     string // the module
	results string
	kernels []kernel
	parts   []part
	run     string // tests, as a regular expression; empty for all
	update  bool   // writes the matrix instead of comparing it
}

func testCommand(ctx context.Context, args []string) (int, error) {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	names := flags.String("kernels", "5.10 6.1 6.12 newest", "the kernels, separated by spaces")
	folders := flags.String("packages", "", "the packages' folders, separated by spaces; empty for all")
	slow := flags.Bool("slow", false, "packages whose tests take minutes, too")
	atOnce := flags.Int("p", 2, "how many kernels run at once")
	var t testRun
	flags.StringVar(&t.run, "run", "", "the tests, as a regular expression; empty for all")
	flags.BoolVar(&t.update, "update", false, "write what types can on these kernels to docs/kernels instead of comparing it")
	if err := flags.Parse(args); err != nil {
		return codeBroken, err
	}
	for _, name := range strings.Fields(*names) {
		k, err := kernelOf(name)
		if err != nil {
			return codeBroken, err
		}
		t.kernels = append(t.kernels, k)
	}
	var err error
	if t.parts, err = choose(strings.Fields(*folders), *slow); err != nil {
		return codeBroken, err
	}
	if t.top, err = besides(""); err != nil {
		return codeBroken, err
	}
	t.results = filepath.Join(t.top, "bin", "test-kernels")
	return t.all(ctx, max(*atOnce, 1))
}

// all runs the kernels, some at once, and returns 1 if a test failed on one of them.
func (t testRun) all(ctx context.Context, atOnce int) (int, error) {
	if len(t.kernels) == 0 {
		return codeBroken, errors.New("no kernel is named")
	}
	if err := t.prepare(ctx); err != nil {
		return codeBroken, err
	}
	places := make(chan struct{}, atOnce)
	failed := make([]error, len(t.kernels))
	var running sync.WaitGroup
	for i, k := range t.kernels {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			failed[i] = t.one(ctx, k)
		})
	}
	running.Wait()
	if err := errors.Join(failed...); err != nil {
		return 1, err
	}
	return 0, nil
}

// prepare does what is done once and not at the same time: packages, downloads, and a build for each architecture.
func (t testRun) prepare(ctx context.Context) error {
	built := map[string]bool{}
	for _, k := range t.kernels {
		var packages []string
		for _, p := range t.partsOf(k) {
			packages = append(packages, p.packages...)
		}
		if err := installPackages(ctx, k, packages...); err != nil {
			return err
		}
		if _, err := k.fetch(ctx); err != nil {
			return err
		}
		if len(t.partsUnder(k, seLinux)) > 0 {
			if _, err := fetchPolicy(ctx); err != nil {
				return err
			}
		}
		if built[k.arch] {
			continue
		}
		built[k.arch] = true
		if err := build(ctx, t.top, t.binaries(k), k.arch, t.partsFor(k.arch)); err != nil {
			return err
		}
	}
	return nil
}

func (t testRun) binaries(k kernel) string  { return filepath.Join(t.results, "programs", k.arch) }
func (t testRun) resultsOf(k kernel) string { return filepath.Join(t.results, k.name) }
func (t testRun) logOf(k kernel, p part) string {
	return filepath.Join(t.resultsOf(k), p.name()+".log")
}
func (k kernel) say(format string, args ...any) {
	fmt.Printf("%-7s "+format+"\n", append([]any{k.name}, args...)...)
}

// seed is another one for each kernel, and always the same, so that a history that fails can be played again.
func (k kernel) seed() uint32 { return crc32.ChecksumIEEE([]byte(k.name)) % 1_000_000 }

func (t testRun) repeat(k kernel, p part) string {
	return "make test-kernels KERNELS=" + k.name + " PACKAGE=" + p.folder
}

// one runs the parts on one kernel, in a machine for each mandatory access control that they need.
func (t testRun) one(ctx context.Context, k kernel) error {
	results := t.resultsOf(k)
	if err := errors.Join(os.RemoveAll(results), os.MkdirAll(results, 0o755)); err != nil {
		return err
	}
	began := time.Now()
	watcher := &watcher{run: t, kernel: k}
	for _, security := range []string{appArmor, seLinux} {
		if chosen := t.partsUnder(k, security); len(chosen) > 0 {
			if err := t.boot(ctx, k, security, chosen, watcher); err != nil {
				return errors.Join(err, watcher.failed())
			}
		}
	}
	if missing := len(t.partsOf(k)) - watcher.parts; missing > 0 {
		return errors.Join(fmt.Errorf("on kernel %s, %d packages have no result", k.name, missing), watcher.failed())
	}
	k.say("%d packages in %d s, %d failed", watcher.parts, int(time.Since(began).Seconds()), len(watcher.failures))
	return errors.Join(watcher.failed(), t.matrix(k))
}

// boot runs parts in one machine.
func (t testRun) boot(ctx context.Context, k kernel, security string, chosen []part, watcher *watcher) error {
	results := t.resultsOf(k)
	file, err := os.Create(filepath.Join(results, "run-"+security+".sh"))
	if err != nil {
		return err
	}
	if err := errors.Join(script(file, t.top, t.binaries(k), results, t.run, k.seed(), chosen), file.Close()); err != nil {
		return err
	}
	m := machine{
		kernel: k, command: []string{"sh", file.Name()}, folder: t.top, out: results, console: filepath.Join(results, "console-"+security),
		memory: "3G", cpus: 2, limit: 40 * time.Minute, output: watcher, log: os.Stderr, security: security,
	}
	code, err := m.run(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("on kernel %s, the script of the tests ended with status %d", k.name, code)
	}
	return err
}
