// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/openapi"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// published plays the API server's list of schemas.
type published struct {
	mark    string
	schemas map[string]*spec.Schema
	err     error
	reads   int
}

func (p *published) Paths() (map[string]openapi.GroupVersion, error) {
	return map[string]openapi.GroupVersion{"apis/" + v1alpha1.GroupVersion.String(): p}, p.err
}

func (p *published) ServerRelativeURL() string { return p.mark }

func (p *published) Schema(string) ([]byte, error) {
	p.reads++
	return json.Marshal(spec3.OpenAPI{Version: "3.0.0", Components: &spec3.Components{Schemas: p.schemas}})
}

// current are the schemas of this tree's CRDs, as an API server names them.
func current(t *testing.T) map[string]*spec.Schema {
	schemas := map[string]*spec.Schema{}
	for plural, kind := range map[string]string{
		"bpfmaps": "BPFMap", "bpfmaprevisions": "BPFMapRevision", "bpfmapchunks": "BPFMapChunk", "bpfnodestates": "BPFNodeState",
	} {
		schemas["io.bpfmap.v1alpha1."+kind] = generated(t, plural)
	}
	return schemas
}

func newChecked(p *published) *crds {
	c := &crds{server: p, first: make(chan struct{}), err: errors.New("CRD check pending")}
	c.compared = func() {
		select {
		case <-c.first:
		default:
			close(c.first)
		}
	}
	return c
}

func TestCRDs(t *testing.T) {
	p := &published{mark: "v1", schemas: current(t)}
	c := newChecked(p)
	if c.current() == nil || c.ready(nil) == nil {
		t.Error("ready before the first look")
	}
	// While the API server can't be asked, the last verdict holds.
	p.err = errors.New("connection refused")
	c.look(t.Context())
	if c.current() == nil {
		t.Error("ready though the API server didn't answer")
	}
	p.err = nil
	for range 3 {
		c.look(t.Context())
	}
	if err := c.current(); err != nil || p.reads != 1 {
		t.Errorf("%v after %d reads of the same schemas, want one", err, p.reads)
	}
	select {
	case <-c.first:
	default:
		t.Error("the first verdict isn't marked")
	}

	// Older ones hold everything back, and are read again each time until they are mended.
	delete(p.schemas, "io.bpfmap.v1alpha1.BPFMapChunk")
	revision := p.schemas["io.bpfmap.v1alpha1.BPFMapRevision"]
	declared := revision.Properties["spec"]
	chunks := declared.Properties["chunks"]
	delete(declared.Properties, "chunks")
	key := declared.Properties["key"]
	properties := key.Properties
	key.Properties = nil // more fields than are told, below others
	declared.Properties["key"] = key
	p.mark, p.reads = "v0", 0
	for range 2 {
		c.look(t.Context())
	}
	err := c.current()
	if err == nil || p.reads != 2 {
		t.Fatalf("%v after %d reads, want an error and two", err, p.reads)
	}
	for _, word := range []string{"bpfmapchunks.bpfmap.io isn't installed", "bpfmaprevisions.bpfmap.io lacks spec.chunks", "upgrade them"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q doesn't say %q", err, word)
		}
	}
	edge := types.NamespacedName{Namespace: "edge", Name: "foo"}
	if !c.tells(edge) || c.tells(edge) {
		t.Error("people aren't told exactly once")
	}
	declared.Properties["chunks"] = chunks
	key.Properties = properties
	declared.Properties["key"] = key
	c.look(t.Context())
	if err := c.current(); err == nil || strings.Contains(err.Error(), "spec.chunks") {
		t.Errorf("%v, want only the CRD that isn't there", err)
	}
	if !c.tells(edge) {
		t.Error("people aren't told of another verdict")
	}
	p.schemas = current(t)
	c.look(t.Context())
	if err := c.current(); err != nil {
		t.Error(err)
	}

	// A controller that may not read the schemas is trusted to have the right ones.
	p.mark, p.err = "v2", apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
	c = newChecked(p)
	c.look(t.Context())
	if err := c.current(); err != nil {
		t.Error(err)
	}
}

// TestWaitForCRDs tells people once why nothing is done, in a note that ends with a whole character.
func TestWaitForCRDs(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 8, "a"))
	g.crds.err = errors.New("x" + strings.Repeat("€", 2000))
	for range 3 {
		result, err := g.reconcile("foo")
		if err != nil || result.RequeueAfter != crdsMending {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	told := g.told()
	if len(told) != 1 || !strings.Contains(told[0], reasonCRDsOutdated) || !utf8.ValidString(told[0]) {
		t.Errorf("%d events: %q", len(told), told)
	}
	if got := g.names(); got != "" {
		t.Errorf("revisions %s in spite of the CRDs", got)
	}
	if _, err := g.reconcile("nobody"); err != nil {
		t.Errorf("a BPFMap that is gone: %v", err)
	}
}
