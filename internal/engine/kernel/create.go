// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Create makes the map of a revision, which nothing refers to yet. It gets BTF, so that tools print its
// fields by name, where the type takes any; a kernel that refuses the BTF makes the map without, unless
// the values can't do without it.
func (b *Backend) Create(ctx context.Context, rev *revision.Revision) (engine.Map, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, err := createOpts(rev.Shape)
	if err != nil {
		return nil, err
	}
	if err := checkPages(rev.Shape); err != nil {
		return nil, err
	}
	if in := rev.Shape.Inner; in != nil {
		template, err := innerTemplate(*in)
		if err != nil {
			return nil, err
		}
		defer template.Close() // the kernel copied what it needs
		o.InnerMap = template
	}
	m, err := createWithBTF(o, rev)
	if err != nil {
		return nil, explainCreate(rev.Shape, err)
	}
	return newOpenMap(m), nil
}

func createWithBTF(o bpf.CreateOpts, rev *revision.Revision) (*bpf.Map, error) {
	needed := rev.HasSpinLock() || typeOfShape(rev.Shape).BTF == maptype.RequiredBTF
	types, err := describeTypes(rev)
	if err == nil && types == nil {
		return bpf.Create(o)
	}
	if err == nil {
		defer types.btf.Close() // the map keeps it alive
		with := o
		with.BTF, with.BTFKeyTypeID, with.BTFValueTypeID = types.btf, types.key, types.value
		m, createErr := bpf.Create(with)
		if createErr == nil || needed || !errors.Is(createErr, syscall.EINVAL) && !errors.Is(createErr, bpf.ErrNotSupported) {
			return m, createErr
		}
	}
	if needed {
		return nil, fmt.Errorf("describe key and value by BTF: %w", err)
	}
	return bpf.Create(o)
}

// innerTemplate is a map like those that the outer one is to take.
func innerTemplate(s revision.Shape) (*bpf.Map, error) {
	o, err := createOpts(s)
	if err != nil {
		return nil, err
	}
	m, err := bpf.Create(o)
	if err != nil {
		return nil, fmt.Errorf("create a map like spec.inner: %w", explain(err))
	}
	return m, nil
}

// checkPages refuses a ring buffer that isn't a multiple of this node's pages.
func checkPages(s revision.Shape) error {
	size := uint32(os.Getpagesize())
	if typeOfShape(s).Capacity == maptype.Bytes && s.MaxEntries%size != 0 {
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonNotSupported, Err: fmt.Errorf(
			"maxEntries %d of a %s is not a multiple of this node's page size, %d", s.MaxEntries, s.Type, size)}
	}
	return nil
}

// explainCreate adds to a refusal what it means for this type.
func explainCreate(s revision.Shape, err error) error {
	switch {
	case errors.Is(err, syscall.E2BIG) && typeOfShape(s).Capacity == maptype.CPUs:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonNotSupported, Err: fmt.Errorf("%w: maxEntries %d is more than this kernel's CPUs", err, s.MaxEntries)}
	case errors.Is(err, bpf.ErrNotPermitted) && typeOfShape(s).NetAdmin:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonNotPermitted, Err: fmt.Errorf("%w (chart value agent.hostNetwork)", err)}
	case errors.Is(err, bpf.ErrNotSupported):
		err = fmt.Errorf("%w: give the node a kernel that has it, or leave the node out by spec.nodeSelector", err)
	}
	return explain(err)
}

// typeOfShape is what the kernel does with maps of the type.
func typeOfShape(s revision.Shape) *maptype.Type { return maptype.ByName(string(s.Type)).Or() }

// createOpts are the kernel's attributes for a shape.
func createOpts(s revision.Shape) (bpf.CreateOpts, error) {
	typ, err := bpf.ParseMapType(string(s.Type))
	if err != nil {
		return bpf.CreateOpts{}, &engine.Error{ReasonCode: v1alpha1.NodeReasonNotSupported, Err: err}
	}
	o := bpf.CreateOpts{
		Type: typ, Name: s.Name, KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries, MapExtra: s.MapExtra,
	}
	for _, name := range s.Flags {
		flag, err := bpf.ParseMapFlag(string(name))
		if err != nil {
			return bpf.CreateOpts{}, &engine.Error{ReasonCode: v1alpha1.NodeReasonNotSupported, Err: err}
		}
		o.Flags |= flag
	}
	if s.ExclusiveProgram != "" {
		if o.ExclProgHash, err = hex.DecodeString(s.ExclusiveProgram); err != nil {
			return bpf.CreateOpts{}, &engine.Error{ReasonCode: v1alpha1.NodeReasonInvalidRevision, Err: fmt.Errorf("exclusiveProgramHash: %w", err)}
		}
	}
	if s.NUMANode != nil {
		o.Flags |= bpf.NUMANode
		o.NUMANode = uint32(*s.NUMANode)
	}
	return o, nil
}
