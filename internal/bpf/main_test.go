// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
)

func TestMain(m *testing.M) { bpftest.Main(m) }
