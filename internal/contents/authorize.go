// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Subresource is what who reads live contents must be allowed to get: bpfmaps/contents of a BPFMap's map, and
// bpfnodestates/contents of a node for maps at pins. Neither is served by the API server.
const Subresource = "contents"

// Audience is that of tokens that are good for agents alone, and not for the API server.
const Audience = "bpfmap.io/contents"

// Reviews ask the API server. It is safe for concurrent use.
type Reviews interface {
	// Who is who sent a request. The error is ErrUnauthenticated if that isn't known.
	Who(ctx context.Context, r *http.Request) (authenticationv1.UserInfo, error)
	// May says whether somebody has a right.
	May(ctx context.Context, who authenticationv1.UserInfo, right authorizationv1.ResourceAttributes) (bool, error)
}

// mapRight is the right to what a BPFMap's map holds. An empty name is all of a namespace, an empty namespace all of them.
func mapRight(key revision.Key) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Verb: "get", Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version,
		Resource: "bpfmaps", Subresource: Subresource, Namespace: key.Namespace, Name: key.Name,
	}
}

// nodeRight is the right to all maps of a node that are pinned.
func nodeRight(node string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Verb: "get", Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version,
		Resource: "bpfnodestates", Subresource: Subresource, Name: node,
	}
}

// secretsRight is the right to all Secrets of a namespace: from which ones contents come, an agent doesn't know.
func secretsRight(namespace string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Verb: "get", Version: "v1", Resource: "secrets", Namespace: namespace}
}

// mayAsk refuses a question by what it is about, before anybody looks whether there is such a map.
func (h *Handler) mayAsk(ctx context.Context, who authenticationv1.UserInfo, q *Question) error {
	if q.Pin != "" {
		return h.require(ctx, who, nodeRight(h.node), "maps at pins are for who may read all maps of the node: name the map's BPFMap instead")
	}
	return h.require(ctx, who, mapRight(q.Key), "see the ClusterRole of the chart whose name ends in -contents-reader")
}

// mayRead refuses an answer by whose contents it has.
func (h *Handler) mayRead(ctx context.Context, who authenticationv1.UserInfo, q *Question, owner Owner) error {
	if q.Pin != "" && owner.Key != (revision.Key{}) {
		if err := h.require(ctx, who, mapRight(owner.Key), "the map at this pin belongs to that BPFMap, or did"); err != nil {
			return err
		}
	}
	sensitive := owner.Sensitive
	if !sensitive && owner.Key.Name != "" {
		var err error
		if sensitive, err = h.declared.Sensitive(ctx, owner.Key); err != nil {
			return err
		}
	}
	if !sensitive {
		return nil
	}
	return h.require(ctx, who, secretsRight(owner.Key.Namespace), "the contents of this map come from a Secret: who may get all Secrets of the namespace can read it")
}

// require refuses who doesn't have a right. hint is what to do about it.
func (h *Handler) require(ctx context.Context, who authenticationv1.UserInfo, right authorizationv1.ResourceAttributes, hint string) error {
	ctx, cancel := context.WithTimeout(ctx, reviewWithin)
	defer cancel()
	allowed, err := h.reviews.May(ctx, who, right)
	if err != nil {
		return fmt.Errorf("%w: %w", errReview, err)
	}
	if !allowed {
		return fmt.Errorf("%w: user %q may not get %s (%s)", errForbidden, who.Username, describeRight(right), hint)
	}
	return nil
}

func describeRight(a authorizationv1.ResourceAttributes) string {
	resource := a.Resource
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	if a.Group != "" {
		resource += "." + a.Group
	}
	switch {
	case a.Resource == "bpfnodestates":
		return resource + " " + a.Name
	case a.Namespace == "":
		return resource + " in all namespaces"
	}
	return fmt.Sprintf("%s %s in namespace %s", resource, cmp.Or(a.Name, "of every name"), a.Namespace)
}
