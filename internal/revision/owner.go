// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import "github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"

// ProgramParts are the parts of a value that programs own, as paths: "." for the whole, ".hits" for a field. Nil if
// everything is declared.
func (r *Revision) ProgramParts() []string { return appendProgramParts(nil, &r.ValueSchema, "") }

func appendProgramParts(parts []string, s *v1alpha1.Schema, path string) []string {
	if s.Owner == v1alpha1.OwnerProgram {
		if path == "" {
			path = "."
		}
		return append(parts, path)
	}
	for i := range s.Fields {
		parts = appendProgramParts(parts, &s.Fields[i].Schema, path+"."+s.Fields[i].Name)
	}
	return parts
}
