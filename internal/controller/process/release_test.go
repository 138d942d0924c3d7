// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/test/memory"
)

// TestRelease gives back at once, in a process that has just started.
func TestRelease(t *testing.T) {
	before := residentFile(t)
	if err := (release{}).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := residentFile(t); after > before*3/4 {
		t.Errorf("%d KiB of the program's file are resident, of %d before", after, before)
	}
}

func TestReleaseEndsWithTheProcess(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := (release{after: time.Hour}).Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// residentFile is how much of the program's file this process has mapped, in KiB.
func residentFile(t *testing.T) int {
	t.Helper()
	resident, err := memory.Of(os.Getpid(), "RssFile")
	if err != nil {
		t.Fatal(err)
	}
	return int(resident >> 10)
}
