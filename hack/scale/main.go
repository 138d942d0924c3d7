// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command scale measures what the operator costs clusters of growing sizes, and prints a table in Markdown
// (see package test/scale).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/scale"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	nodes := flag.String("nodes", "50 200", "numbers of nodes, one cluster after the other")
	maps := flag.Int("maps", 50, "maps on each node")
	entries := flag.Int("entries", 100, "entries of 8 bytes in each map")
	realAgents := flag.Int("real", 200, "clusters of at most this many nodes have agents that run the agent's own code, but for a few")
	phases := flag.String("phases", "", "phases to run, separated by blanks; all if empty: "+strings.Join(scale.Phases(), " "))
	steady := flag.Duration("steady", time.Minute, "how long nothing happens")
	flow := flag.Bool("flow-control", true, "apply config/flowcontrol")
	keep := flag.String("dir", "", "folder that keeps the logs; a temporary one if empty")
	flag.Parse()
	process.UseLogger(logr.Discard())
	runtime.GOMAXPROCS(runtime.NumCPU())

	var all []scale.Figures
	for _, size := range strings.Fields(*nodes) {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 {
			return fmt.Errorf("-nodes %q: must be numbers of nodes", *nodes)
		}
		o := scale.Options{
			Nodes: n, Maps: *maps, Entries: *entries, FlowControl: *flow, Steady: *steady, Log: os.Stderr,
		}
		if n <= *realAgents {
			o.RealAgents = n - max(1, n/100) // those that are to fail are thin
		}
		figures, err := cluster(ctx, *keep, o, strings.Fields(*phases))
		all = append(all, figures...)
		if err != nil {
			fmt.Print(scale.Table(all))
			return err
		}
	}
	fmt.Print(scale.Table(all))
	return nil
}

// cluster measures one cluster.
func cluster(ctx context.Context, keep string, o scale.Options, phases []string) (all []scale.Figures, err error) {
	if o.Dir = keep; keep == "" {
		if o.Dir, err = os.MkdirTemp("", "bpfmap-scale-"); err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(o.Dir) }()
	} else {
		o.Dir = filepath.Join(keep, strconv.Itoa(o.Nodes))
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "plane"), 0o700); err != nil {
		return nil, err
	}
	b, err := scale.New(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := b.Close(); err == nil {
			err = closeErr
		}
	}()
	err = b.Run(ctx, phases, func(f scale.Figures) {
		all = append(all, f)
		fmt.Fprint(os.Stderr, scale.Table([]scale.Figures{f}))
	})
	return all, err
}
