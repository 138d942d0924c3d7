// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// TestErrorsTellTheMap opens a map whose information can't be had: the error is one of ours and names it.
func TestErrorsTellTheMap(t *testing.T) {
	m := newTestMap(t, CreateOpts{Type: Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	intercept(t, sys.ObjGetInfoByFD, always(unix.EPERM)...)
	_, err = GetFDByID(info.ID)
	var of *Error
	if !errors.As(err, &of) || !errors.Is(err, unix.EPERM) || !strings.HasPrefix(err.Error(), fmt.Sprintf("open map of id %d: ", info.ID)) {
		t.Errorf("%v", err)
	}
}
