// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

// fault is what happens to a process's next write.
type fault string

const (
	noFault fault = ""
	// lost: the write doesn't arrive.
	lost fault = "lost"
	// late: the write is done, and the answer doesn't arrive.
	late fault = "late"
	// dies: the write is done, and the process dies before it learns of that.
	dies fault = "dies"
)

var (
	errDied    = errors.New("the process has died")
	errTimeout = apierrors.NewTimeoutError("the history drops this request", 0)
)

// proc is a running process: the controller or an agent.
type proc struct {
	name   string
	w      *world
	ctx    context.Context
	cancel context.CancelFunc
	cache  views
	parts  []*part
	// next happens to the next write, after skipping some.
	next fault
	skip int
	dead bool
}

// part is a reconciler with its queue.
type part struct {
	process.Part
	queue *queue
}

func (w *world) newProc(name string) *proc {
	p := &proc{name: name, w: w}
	p.ctx, p.cancel = context.WithCancel(w.t.Context())
	return p
}

// run lists what the assembly's caches hold, each kind as of a version of its own, which tells the queues.
func (p *proc) run(a *process.Assembly, version func(kind string) int) {
	p.cache.indexes = a.Indexes
	for i := range a.Parts {
		x := &part{Part: a.Parts[i], queue: newQueue(p.w.now)}
		p.parts = append(p.parts, x)
		if x.For != nil {
			p.informer(a.Cache, x.For).handlers = append(p.informer(a.Cache, x.For).handlers, listener{&handler.EnqueueRequestForObject{}, nil, x.queue})
		}
		for _, watch := range x.Watches {
			v := p.informer(a.Cache, watch.Object)
			v.handlers = append(v.handlers, listener{watch.Handler, watch.Predicates, x.queue})
		}
	}
	// Handlers list other kinds, so that all views are there before anybody is told.
	for _, v := range p.cache.informers {
		handlers := v.handlers
		v.handlers = nil
		v.list(p.ctx, version(v.kind))
		v.handlers = handlers
	}
	for _, v := range p.cache.informers {
		for _, i := range v.objects.ids(v.kind) {
			v.tell(p.ctx, nil, v.objects[i])
		}
	}
	for _, x := range p.parts {
		for _, s := range x.Sources {
			if err := s.Start(p.ctx, x.queue); err != nil {
				panic(err)
			}
		}
	}
}

func (p *proc) informer(o cache.Options, of client.Object) *informer {
	name, metadata := kindName(of), isMetadata(of)
	if v := p.cache.of(name, metadata); v != nil {
		return v
	}
	v := &informer{store: p.w.store, kind: name, metadata: metadata, objects: state{}}
	for object, by := range o.ByObject {
		if kindName(object) == name && isMetadata(object) == metadata {
			v.by = by
		}
	}
	p.cache.informers = append(p.cache.informers, v)
	return v
}

// die ends a process between two of its steps, or in one.
func (p *proc) die() {
	p.dead = true
	p.cancel()
}

// work lets a part handle one of its requests.
func (p *proc) work(x *part, r reconcile.Request) {
	delete(x.queue.due, r)
	result, err := x.Reconciler.Reconcile(p.ctx, r)
	if p.dead {
		return
	}
	switch {
	case err != nil:
		p.w.logf("  %s %s %s: %v", p.name, x.Name, r, err)
		x.queue.AddRateLimited(r)
	case result.RequeueAfter > 0:
		x.queue.Forget(r)
		x.queue.AddAfter(r, result.RequeueAfter)
	default:
		x.queue.Forget(r)
	}
}

// conn is a process's connection: a client that reads from its views, and from the store as Live.
type conn struct{ p *proc }

var _ client.Client = conn{}

func (c conn) Get(_ context.Context, key client.ObjectKey, out client.Object, _ ...client.GetOption) error {
	if c.p.dead {
		return errDied
	}
	return c.p.cache.get(key, out)
}

func (c conn) List(_ context.Context, out client.ObjectList, opts ...client.ListOption) error {
	if c.p.dead {
		return errDied
	}
	return c.p.cache.list(out, opts...)
}

// write makes a write, with what the history has in store for it.
func (c conn) write(what string, o client.Object, do func() error) error {
	p := c.p
	if p.dead {
		return errDied
	}
	p.w.beforeWrite(p)
	if p.dead {
		return errDied
	}
	meets := noFault
	if p.next != noFault {
		if p.skip--; p.skip < 0 {
			meets, p.next = p.next, noFault
		}
	}
	if meets == lost {
		p.w.logf("  %s %s %s is lost", p.name, what, idOf(o))
		return errTimeout
	}
	before := p.w.store.version()
	err := p.w.checked(what, o, do)
	if p.w.store.version() > before || err != nil {
		p.w.logf("  %s %s %s: %v%s", p.name, what, idOf(o), err, p.w.describe(o))
	}
	if p.w.store.version() > before {
		p.w.writes++
	}
	switch meets {
	case dies:
		p.w.logf("  %s dies", p.name)
		p.die()
		return errDied
	case late:
		return errTimeout
	}
	return err
}

func (c conn) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	return c.write("creates", o, func() error { return c.p.w.store.create(o) })
}

func (c conn) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	return c.write("updates", o, func() error { return c.p.w.store.update(o, false) })
}

func (c conn) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return c.write("patches", o, func() error { return c.p.w.store.patch(o, patch, false) })
}

func (c conn) Delete(_ context.Context, o client.Object, opts ...client.DeleteOption) error {
	var options client.DeleteOptions
	options.ApplyOptions(opts)
	return c.write("deletes", o, func() error { return c.p.w.store.delete(o, options.Preconditions) })
}

// statusConn writes statuses.
type statusConn struct{ conn }

func (c statusConn) Update(_ context.Context, o client.Object, _ ...client.SubResourceUpdateOption) error {
	return c.write("updates status of", o, func() error { return c.p.w.store.update(o, true) })
}

func (c statusConn) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	return c.write("patches status of", o, func() error { return c.p.w.store.patch(o, patch, true) })
}

func (c conn) Status() client.SubResourceWriter { return statusConn{c} }

// live reads from the store.
type live struct{ p *proc }

func (l live) Get(_ context.Context, key client.ObjectKey, out client.Object, _ ...client.GetOption) error {
	if err := l.fails(out); err != nil {
		return err
	}
	return get(l.p.w.store.objects, kindOf(out), key, out, assign)
}

func (l live) List(_ context.Context, out client.ObjectList, opts ...client.ListOption) error {
	if err := l.fails(out); err != nil {
		return err
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	if o.FieldSelector != nil {
		return fmt.Errorf("a live list of %T by a field", out)
	}
	list(l.p.w.store.objects, kindOf(out), out, &o, func(client.Object) bool { return true }, assign)
	return nil
}

// fails is the error of a live read. Chunks are read by several goroutines at once, which take no chances.
func (l live) fails(out runtime.Object) error {
	switch {
	case l.p.dead:
		return errDied
	case kindName(out) != "BPFMapChunk" && l.p.w.readFails():
		return errTimeout
	}
	return nil
}

// What nobody here uses.
func (c conn) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	panic("apply")
}
func (c conn) DeleteAllOf(context.Context, client.Object, ...client.DeleteAllOfOption) error {
	panic("delete all of")
}
func (c conn) SubResource(string) client.SubResourceClient                         { panic("subresource") }
func (c conn) Scheme() *runtime.Scheme                                             { return process.Scheme() }
func (c conn) RESTMapper() meta.RESTMapper                                         { panic("mapper") }
func (c conn) GroupVersionKindFor(runtime.Object) (schema.GroupVersionKind, error) { panic("kind") }
func (c conn) IsObjectNamespaced(o runtime.Object) (bool, error)                   { return kindOf(o).namespaced, nil }

func (c statusConn) Create(context.Context, client.Object, client.Object, ...client.SubResourceCreateOption) error {
	panic("create status")
}
func (c statusConn) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	panic("apply status")
}

// silence drops events.
type silence struct{}

func (silence) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}
