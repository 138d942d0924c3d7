// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// asProgram makes this test binary run main instead of tests.
const asProgram = "BPFMAP_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	bpftest.Main(m)
}

// patience bounds the wait for a process to end. It is no measure of how long that should take.
const patience = 30 * time.Second

// program is one run of the program.
type program struct {
	*exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errOut *bytes.Buffer
}

// start runs the program. Nobody reads its output unless the test does.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	p := &program{Cmd: exec.CommandContext(ctx, os.Args[0], args...), errOut: &bytes.Buffer{}}
	p.Env = append(os.Environ(), asProgram+"=1")
	p.Stderr = p.errOut
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReaderSize(out, 16)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// signal sends s.
func (p *program) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the exit code and a message.
func (p *program) ends(t *testing.T, code int, message string) {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := p.ProcessState.ExitCode(); got != code {
		t.Errorf("%v: exit code %d (%s), want %d; standard error:\n%s", p.Args[1:], got, p.ProcessState, code, p.errOut)
	}
	if !strings.Contains(p.errOut.String(), message) {
		t.Errorf("%v: standard error lacks %q:\n%s", p.Args[1:], message, p.errOut)
	}
}

// large pins a Hash with elements.
func large(t *testing.T, elements int) (pin string) {
	t.Helper()
	pin = filepath.Join(bpftest.BPFFS(t), "large")
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: uint32(elements)})
	if err != nil {
		t.Fatal(err)
	}
	bytes := make([]byte, 4*elements)
	for i := range elements {
		binary.NativeEndian.PutUint32(bytes[4*i:], uint32(i))
	}
	_, err = m.UpdateBatch(t.Context(), bytes, bytes, bpf.Any)
	if err := errors.Join(err, m.Pin(pin), m.Close()); err != nil {
		t.Fatal(err)
	}
	return pin
}

// TestInterruptedDump ends dumps of large maps, whether somebody reads the output or not.
func TestInterruptedDump(t *testing.T) {
	pin := large(t, 1_000_000)
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run("into a full pipe, "+signal.String(), func(t *testing.T) {
			p := start(t, "dump", "--pin", pin)
			if _, err := p.out.ReadByte(); err != nil {
				t.Fatal(err)
			}
			p.signal(t, signal)
			p.ends(t, code, "Error: interrupted: the output is incomplete")
		})
		t.Run("to a reader, "+signal.String(), func(t *testing.T) {
			p := start(t, "dump", "--pin", pin, "-o", "json")
			if _, err := p.out.ReadByte(); err != nil {
				t.Fatal(err)
			}
			p.signal(t, signal)
			if _, err := io.Copy(io.Discard, p.out); err != nil {
				t.Fatal(err)
			}
			p.ends(t, code, "Error: interrupted: the output is incomplete")
		})
	}
}

func TestInterruptedSortedDump(t *testing.T) {
	p := start(t, "dump", "--pin", large(t, 100_000), "--sort")
	if _, err := p.out.ReadByte(); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGINT)
	p.ends(t, 130, "Error: interrupted: the output is incomplete")
}

// TestTwoSignals ends a dump that nobody reads by the second one.
func TestTwoSignals(t *testing.T) {
	p := start(t, "dump", "--pin", large(t, 100_000))
	if _, err := p.out.ReadByte(); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGINT)
	p.signal(t, syscall.SIGINT)
	p.ends(t, 130, "")
}

// TestInterruptedWaitForInput ends commands that wait for manifests.
func TestInterruptedWaitForInput(t *testing.T) {
	bpffs := bpftest.BPFFS(t)
	for command, message := range map[string]string{
		"apply": "nothing was applied", "delete": "nothing was deleted", "validate": "Error: interrupted", "diff": "Error: interrupted",
	} {
		t.Run(command, func(t *testing.T) {
			args := []string{command, "-f", "-"}
			if command != "validate" {
				args = append(args, "--bpffs", bpffs)
			}
			p := start(t, args...)
			// The program reads: a pipe takes more than this only when it does.
			if _, err := p.in.Write(bytes.Repeat([]byte("#\n"), 128<<10)); err != nil {
				t.Fatal(err)
			}
			p.signal(t, syscall.SIGTERM)
			p.ends(t, 143, message)
		})
	}
}

// TestInterruptedBetweenManifests says how far it came: another process holds the lock of the fourth map.
func TestInterruptedBetweenManifests(t *testing.T) {
	bpffs, folder := bpftest.BPFFS(t), t.TempDir()
	for i := range 10 {
		text := fmt.Sprintf("{apiVersion: bpfmap.io/v1alpha1, kind: BPFMap, metadata: {name: m%d}, spec: {"+
			"type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 4}}", i)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("m%d.yaml", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := pinstore.New(bpffs, pinstore.Options{})
	// reach runs a command until it waits for the fourth map, and interrupts it.
	reach := func(command, message string, lines int) {
		t.Helper()
		lock, err := store.Lock(t.Context(), revision.Key{Namespace: "default", Name: "m3"})
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, command, "--bpffs", bpffs, "-f", folder)
		for range lines {
			if _, err := p.out.ReadBytes('\n'); err != nil {
				t.Fatal(err)
			}
		}
		p.signal(t, syscall.SIGINT)
		p.ends(t, 130, message)
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
	}
	reach("diff", " of 10 manifests compared", 1)
	reach("apply", "Error: interrupted: 3 of 10 manifests applied\n", 3)
	p := start(t, "apply", "--bpffs", bpffs, "-f", folder)
	if _, err := io.Copy(io.Discard, p.out); err != nil {
		t.Fatal(err)
	}
	p.ends(t, 0, "")
	reach("delete", "Error: interrupted: 3 of 10 maps deleted\n", 3)
}

// TestWithoutSignals runs to the end.
func TestWithoutSignals(t *testing.T) {
	p := start(t, "dump", "--pin", large(t, 10))
	out, err := io.ReadAll(p.out)
	if err != nil || !strings.HasSuffix(string(out), "Found 10 elements\n") {
		t.Errorf("output %q, %v", out, err)
	}
	p.ends(t, 0, "")
	p = start(t, "dump", "--pin", filepath.Join(t.TempDir(), "none"))
	p.ends(t, 1, "Error: ")
}
