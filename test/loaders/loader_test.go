// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// program is the loaded firewall.
type program interface {
	// mapID is the id of the program's map of that name.
	mapID(name string) uint32
	put(name string, key, value []byte) error
	get(name string, key []byte) ([]byte, error)
	// run hands the program a packet and returns its verdict.
	run(packet []byte) (uint32, error)
	close() error
}

// loader loads the object with the maps that are pinned below root, or pins its own there.
type loader func(t *testing.T, object, root string) (program, error)

var loaders = map[string]loader{"libbpf": loadByLibbpf, "cilium": loadByCilium}

// libbpfProgram is in a process of its own.
type libbpfProgram struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	ids     map[string]uint32
}

func loadByLibbpf(t *testing.T, object, root string) (program, error) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "loader")
	compileC(t, binary, "testdata/loader.c")
	p := &libbpfProgram{process: exec.Command(binary, object, root), ids: map[string]uint32{}}
	stderr := &strings.Builder{}
	p.process.Stderr = stderr
	in, err1 := p.process.StdinPipe()
	out, err2 := p.process.StdoutPipe()
	if err := errors.Join(err1, err2, p.process.Start()); err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewScanner(out)
	p.out.Buffer(nil, 1<<20)
	for p.out.Scan() && p.out.Text() != "ready" {
		var name string
		var id uint32
		if _, err := fmt.Sscanf(p.out.Text(), "map %s %d", &name, &id); err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.ids[name] = id
	}
	if p.out.Text() != "ready" {
		return nil, fmt.Errorf("%w\n%s", p.close(), stderr)
	}
	return p, nil
}

func (p *libbpfProgram) mapID(name string) uint32 { return p.ids[name] }

// ask sends a command and returns the value of its answer.
func (p *libbpfProgram) ask(format string, args ...any) ([]byte, error) {
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		return nil, err
	}
	if !p.out.Scan() {
		return nil, errors.Join(io.ErrUnexpectedEOF, p.out.Err())
	}
	word, value, _ := strings.Cut(p.out.Text(), " ")
	if word != "ok" {
		return nil, errors.New(p.out.Text())
	}
	return hex.DecodeString(value)
}

func (p *libbpfProgram) put(name string, key, value []byte) error {
	_, err := p.ask("put %s %x %x", name, key, value)
	return err
}

func (p *libbpfProgram) get(name string, key []byte) ([]byte, error) {
	return p.ask("get %s %x", name, key)
}

func (p *libbpfProgram) run(packet []byte) (uint32, error) {
	verdict, err := p.ask("run %x", packet)
	if err != nil {
		return 0, err
	}
	return binary.NativeEndian.Uint32(verdict), nil
}

func (p *libbpfProgram) close() error { return errors.Join(p.in.Close(), p.process.Wait()) }

// ciliumProgram is in this process.
type ciliumProgram struct {
	*ebpf.Collection
}

func loadByCilium(_ *testing.T, object, root string) (program, error) {
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		return nil, err
	}
	for _, m := range spec.Maps {
		if m.Type == ebpf.Arena {
			if m.MapExtra, err = strconv.ParseUint(os.Getenv("ARENA_AT"), 0, 64); err != nil {
				return nil, err
			}
		}
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: root}})
	if err != nil {
		return nil, err
	}
	return ciliumProgram{c}, nil
}

func (p ciliumProgram) mapID(name string) uint32 {
	info, err := p.Maps[name].Info()
	if err != nil {
		return 0
	}
	id, _ := info.ID()
	return uint32(id)
}

// perCPU is a packed value of all CPUs as cilium/ebpf takes it.
func perCPU(value []byte) [][]byte {
	var all [][]byte
	for ; len(value) > 0; value = value[8:] {
		all = append(all, value[:8])
	}
	return all
}

func (p ciliumProgram) put(name string, key, value []byte) error {
	if m := p.Maps[name]; m.Type() != ebpf.PerCPUArray {
		return m.Put(key, value)
	}
	return p.Maps[name].Put(key, perCPU(value))
}

func (p ciliumProgram) get(name string, key []byte) ([]byte, error) {
	m := p.Maps[name]
	if m.Type() != ebpf.PerCPUArray {
		return m.LookupBytes(key)
	}
	var values [][]byte
	err := m.Lookup(key, &values)
	var packed []byte
	for _, v := range values {
		packed = append(packed, v...)
	}
	return packed, err
}

func (p ciliumProgram) run(packet []byte) (uint32, error) {
	return p.Programs["filter"].Run(&ebpf.RunOptions{Data: packet})
}

func (p ciliumProgram) close() error {
	p.Close()
	return nil
}
