// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Matrix is what was tried on one kernel.
type Matrix struct {
	// Release is the kernel's, as uname prints it.
	Release string `json:"release"`
	Types   []Row  `json:"types"`
}

// Row is what was tried with one map type. Empty is what the type doesn't have.
type Row struct {
	Type string `json:"type"`
	// Made is "yes", or the reason of the refusal.
	Made string `json:"made"`
	// Written is how declared entries are written: in batches or singly.
	Written string `json:"written,omitempty"`
	// Counted is how elements are counted: by the kernel (a program of ours, or a field), or by reading them.
	Counted string `json:"counted,omitempty"`
	// Compared is how contents are read to find and repair drift: in batches or singly.
	Compared string `json:"compared,omitempty"`
	// Shared is how declared bits of a value are stored beside those of programs.
	Shared string `json:"shared,omitempty"`
	// Frozen and Replaced are "yes", or the reason of the refusal.
	Frozen   string `json:"frozen,omitempty"`
	Replaced string `json:"replaced,omitempty"`
}

// The answers that aren't the reason of a refusal.
const (
	Yes      = "yes"
	Batches  = "batches"
	Singly   = "singly"
	ByKernel = "kernel"
	ByWalk   = "walk"
)

// cells are a row's answers with the names of their columns.
func (r Row) cells() [][2]string {
	return [][2]string{
		{"made", r.Made}, {"written", r.Written}, {"counted", r.Counted}, {"compared", r.Compared},
		{"shared", r.Shared}, {"frozen", r.Frozen}, {"replaced", r.Replaced},
	}
}

// Version is the release's first two numbers, for example "6.1".
func (m Matrix) Version() string {
	parts := strings.SplitN(m.Release, ".", 3)
	if len(parts) < 2 {
		return m.Release
	}
	return parts[0] + "." + strings.TrimRight(parts[1], "+-abcdefghijklmnopqrstuvwxyz")
}

// Read reads a matrix from a file.
func Read(path string) (Matrix, error) {
	var m Matrix
	data, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

// Write writes a matrix to a file, with a line for each type.
func (m Matrix) Write(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "{\"release\": %q, \"types\": [\n", m.Release)
	for i, row := range m.Types {
		line, err := json.Marshal(row)
		if err != nil {
			return err
		}
		b.Write(line)
		if i < len(m.Types)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]}\n")
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// Differences says where two matrices differ, a line for each answer; want is the one that is kept.
func Differences(want, have Matrix) []string {
	var lines []string
	rows := map[string]Row{}
	for _, row := range have.Types {
		rows[row.Type] = row
	}
	for _, row := range want.Types {
		other, ok := rows[row.Type]
		delete(rows, row.Type)
		if !ok {
			lines = append(lines, row.Type+": wasn't tried")
			continue
		}
		theirs := other.cells()
		for i, cell := range row.cells() {
			if cell[1] != theirs[i][1] {
				lines = append(lines, fmt.Sprintf("%s: %s: %q, was %q", row.Type, cell[0], theirs[i][1], cell[1]))
			}
		}
	}
	for _, row := range have.Types {
		if _, left := rows[row.Type]; left {
			lines = append(lines, row.Type+": is new")
		}
	}
	return lines
}
