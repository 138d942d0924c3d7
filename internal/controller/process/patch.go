// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PatchStatus changes one place in the status of an object and sends nothing else of it, such as a spec with many
// entries. op is that of a JSON patch (RFC 6902), and its value is left out where that is "remove". The API server takes
// it only if the object is still the one that the change was made from: setting the resource version in a patch asks
// for that. o stays as it is.
func PatchStatus[T any, O interface {
	*T
	client.Object
}](ctx context.Context, c client.StatusClient, o O, op, path string, value any) error {
	change := map[string]any{"op": op, "path": path}
	if op != "remove" {
		change["value"] = value
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": o.GetResourceVersion()}, change,
	})
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	target := O(new(T))
	target.SetNamespace(o.GetNamespace())
	target.SetName(o.GetName())
	return c.Status().Patch(ctx, target, client.RawPatch(types.JSONPatchType, patch))
}
