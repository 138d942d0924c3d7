// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// The ends of the names of the cluster roles that the operator's installation makes for people. The names begin with
// that of the installation.
const (
	RoleViewer         = "viewer"
	RoleEditor         = "editor"
	RoleRevisionViewer = "revision-viewer"
	RoleNodeViewer     = "node-viewer"
)

// Request is what was asked of the API server.
type Request struct {
	Verb     string // as in a role: get, list, patch
	Resource string // as in a role: bpfmaprevisions
	// Group is that of the resource; empty for the core group.
	Group string
	// Namespace is empty for resources of the cluster, and for all namespaces.
	Namespace string
	// Name is empty for lists.
	Name string
	// Purpose is what the request is for: "reading what a revision holds".
	Purpose string
}

// Error explains an error of the request: which right the caller lacks and which role has it, that the operator
// isn't installed, or that the object doesn't exist. It is nil if err is.
func (r Request) Error(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: %w", r.forbidden(), err)
	case meta.IsNoMatchError(err), r.Name == "" && apierrors.IsNotFound(err), isUnknownResource(err):
		return fmt.Errorf("the cluster has no resource %s: the operator isn't installed there, or its CRDs are older than this plugin: %w", r.resource(), err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no %s %s%s: %w", kindOf(r.Resource), r.Name, r.in(), err)
	}
	return fmt.Errorf("%s %s%s: %w", r.Verb, r.resource(), r.in(), err)
}

func (r Request) forbidden() string {
	need := fmt.Sprintf("%s needs the right to %s %s", r.purpose(), r.Verb, r.resource())
	switch r.role() {
	case "":
		return need + r.in()
	default:
		return need + r.in() + ", which the operator's cluster role \"…-" + r.role() + "\" has"
	}
}

func (r Request) purpose() string {
	if r.Purpose != "" {
		return r.Purpose
	}
	return "this"
}

func (r Request) resource() string {
	if r.Group == "" {
		return r.Resource
	}
	return r.Resource + "." + r.Group
}

func (r Request) in() string {
	if r.Namespace == "" {
		return ""
	}
	return " in namespace " + r.Namespace
}

// role is the end of the name of the role that has the right; empty if none of the operator's has.
func (r Request) role() string {
	if r.Group != v1alpha1.GroupVersion.Group {
		return ""
	}
	switch r.Resource {
	case "bpfmaps":
		if r.Verb == "get" || r.Verb == "list" || r.Verb == "watch" {
			return RoleViewer
		}
		return RoleEditor
	case "bpfmaprevisions", "bpfmapchunks":
		return RoleRevisionViewer
	case "bpfnodestates":
		return RoleNodeViewer
	}
	return ""
}

// isUnknownResource says whether the API server knows no such resource, as opposed to no such object.
func isUnknownResource(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) {
		return false
	}
	d := status.Status().Details
	return d == nil || d.Name == "" || strings.Contains(status.Status().Message, "the server could not find the requested resource")
}

// kindOf is how a message calls an object of a resource.
func kindOf(resource string) string {
	switch resource {
	case "bpfmaps":
		return "BPFMap"
	case "bpfmaprevisions":
		return "BPFMapRevision"
	case "bpfmapchunks":
		return "BPFMapChunk"
	case "bpfnodestates":
		return "BPFNodeState"
	}
	return resource
}

// IsForbidden says whether an error, explained or not, is that the caller lacks a right.
func IsForbidden(err error) bool { return apierrors.IsForbidden(err) }

// IsNotFound says whether an error, explained or not, is that an object doesn't exist.
func IsNotFound(err error) bool { return apierrors.IsNotFound(err) }
