// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// StoreWay is how declared parts of a value are written while programs write theirs.
//
// +kubebuilder:validation:Enum=Program;Locked;ReadModifyWrite
type StoreWay string

// The ways, the most exact one first.
const (
	// StoreByProgram: a small BPF program of the agent stores only the declared bits.
	StoreByProgram StoreWay = "Program"
	// StoreLocked: values are read and written under their spin lock, which programs take, too.
	StoreLocked StoreWay = "Locked"
	// StoreReadModifyWrite: whole values are read and written. What a program writes between the two is lost.
	StoreReadModifyWrite StoreWay = "ReadModifyWrite"
)

// SharedValues is how values with two owners are written.
type SharedValues struct {
	// declaredBytes is how many bytes of a value hold something declared.
	// +required
	DeclaredBytes int32 `json:"declaredBytes"`

	// valueBytes is how many bytes a value has.
	// +required
	ValueBytes int32 `json:"valueBytes"`

	// way is the least exact way in which declared parts were written into elements that were there. With
	// ReadModifyWrite, what a program writes between the reading and the writing of a value is lost. Absent if none was
	// written yet.
	// +optional
	Way StoreWay `json:"way,omitempty"`
}
