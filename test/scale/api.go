// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

const (
	group         = "/apis/bpfmap.io/v1alpha1"
	revisionsPath = group + "/bpfmaprevisions"
	statesPath    = group + "/bpfnodestates"
	nodesPath     = "/api/v1/nodes"
	hostReady     = v1alpha1.ConditionHostReady
	deleted       = "DELETED"
	userAgent     = "bpfmap-agent/scale"
)

func chunkPath(namespace, name string) string {
	return group + "/namespaces/" + namespace + "/bpfmapchunks/" + name
}

func labelQuery(selector string) url.Values { return url.Values{"labelSelector": {selector}} }

func nameQuery(name string) url.Values {
	return url.Values{"fieldSelector": {fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}}
}

// The forms of objects that may be asked for.
const (
	asIs       = "application/json"
	asMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
)

// api is one agent's way to the API server.
type api struct {
	host   string
	client *http.Client
}

// send sends a request and reads the answer into out, if that isn't nil. Like client-go it tries again when it
// is told to.
func (a *api) send(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	const tries = 10
	for try := 0; ; try++ {
		status, answer, err := a.once(ctx, method, path, body)
		switch {
		case err != nil:
			return err
		case status == http.StatusTooManyRequests && try < tries:
			wait(ctx, time.Second)
			continue
		case status >= http.StatusBadRequest:
			return apierrors.NewGenericServerResponse(status, method, schema.GroupResource{}, path, string(answer), 0, false)
		case out != nil:
			return json.Unmarshal(answer, out)
		}
		return nil
	}
}

func (a *api) once(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.host+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Accept", asIs)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", userAgent)
	answer, err := a.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// watched is what a watch delivers.
type watched[T any] struct {
	Type   string `json:"type"`
	Object *T     `json:"object"`
}

// watchOptions say what a watch is about.
type watchOptions struct {
	path   string
	query  url.Values
	accept string
}

// listAndWatch lists and watches by one request until ctx ends, as the caches of client-go do (WatchList). on is
// called for each object, synced once after the first ones.
func listAndWatch[T any, P interface {
	*T
	metav1.Object
}](ctx context.Context, a *api, o watchOptions, decoded *decoder[T], on func(kind string, object *T), synced func()) {
	// As in client-go, a watch goes on from a version only after it has shown all that there was.
	version, complete, once := "", false, sync.Once{}
	for pause := 250 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 5*time.Second) {
		if !complete {
			version = ""
		}
		err := a.stream(ctx, o, version, func(line []byte) error {
			event, err := decoded.decode(line)
			switch {
			case err != nil:
				return err
			case event.Type == "ERROR":
				return errExpired
			}
			version = P(event.Object).GetResourceVersion()
			if event.Type != "BOOKMARK" {
				on(event.Type, event.Object)
			} else if P(event.Object).GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
				complete = true
				once.Do(synced)
				pause = 250 * time.Millisecond
			}
			return nil
		})
		if errors.Is(err, errExpired) {
			complete = false
		}
		if err != nil {
			wait(ctx, pause+rand.N(pause))
		}
	}
}

var errExpired = errors.New("the watch ended")

// stream calls on for each line of a watch until that ends.
func (a *api) stream(ctx context.Context, o watchOptions, version string, on func(line []byte) error) error {
	query := url.Values{
		"watch": {"true"}, "allowWatchBookmarks": {"true"},
		"timeoutSeconds": {fmt.Sprint(300 + rand.IntN(300))},
	}
	if version == "" {
		query.Set("sendInitialEvents", "true")
		query.Set("resourceVersionMatch", string(metav1.ResourceVersionMatchNotOlderThan))
	} else {
		query.Set("resourceVersion", version)
	}
	for k, v := range o.query {
		query[k] = v
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.host+o.path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", o.accept)
	r.Header.Set("User-Agent", userAgent)
	answer, err := a.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusGone:
		return errExpired
	default:
		return fmt.Errorf("watch %s: %s", o.path, answer.Status)
	}
	for lines := bufio.NewReader(answer.Body); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil // watches end
		}
		if err := on(line); err != nil {
			return err
		}
	}
}

// decoder reads the events of a watch. All agents get the same bytes of revisions, which one of them decodes
// for all.
type decoder[T any] struct {
	shared bool

	mu   sync.Mutex
	seed maphash.Seed
	last map[uint64]watched[T]
}

func newDecoder[T any](shared bool) *decoder[T] {
	return &decoder[T]{shared: shared, seed: maphash.MakeSeed(), last: map[uint64]watched[T]{}}
}

// maxDecoded bounds what a decoder keeps.
const maxDecoded = 1024

func (d *decoder[T]) decode(line []byte) (watched[T], error) {
	var event watched[T]
	if !d.shared {
		return event, json.Unmarshal(line, &event)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := maphash.Bytes(d.seed, line)
	if found, ok := d.last[sum]; ok {
		return found, nil
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return event, err
	}
	if len(d.last) >= maxDecoded {
		clear(d.last)
	}
	d.last[sum] = event
	return event, nil
}

var (
	revisionEvents = newDecoder[v1alpha1.BPFMapRevision](true)
	nodeEvents     = newDecoder[metav1.PartialObjectMetadata](false)
	stateEvents    = newDecoder[v1alpha1.BPFNodeState](false)
)
