// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ContentsEndpoint is where an agent answers who reads live contents: a port of its pod, which is reached by port-forwarding.
type ContentsEndpoint struct {
	// namespace is that of the agent's pod.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// pod is its name.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod"`
	// port is a port of the pod's loopback interface.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// certificateSHA256 is the SHA-256 of the certificate that the agent shows there, in hex. It is made when the agent
	// starts, and its key never leaves the process: who shows another one isn't the agent.
	// +required
	// +kubebuilder:validation:Pattern="^[0-9a-f]{64}$"
	CertificateSHA256 string `json:"certificateSHA256"`
}
