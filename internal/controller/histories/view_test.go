// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

// informer is a process's view of one kind: what the store held at some version, as far as the process asked
// for it. It only goes forward.
type informer struct {
	store    *store
	kind     string
	metadata bool
	by       cache.ByObject
	at       int
	objects  state
	handlers []listener
}

// listener is who is told of changes.
type listener struct {
	handler    handler.EventHandler
	predicates []predicate.Predicate
	queue      workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// show is an object as the view has it; nil if it isn't in it.
func (v *informer) show(o client.Object) client.Object {
	switch {
	case o == nil:
		return nil
	case v.by.Label != nil && !v.by.Label.Matches(labels.Set(o.GetLabels())):
		return nil
	case v.by.Field != nil && !v.by.Field.Matches(fields.Set{metav1.ObjectNameField: o.GetName()}):
		return nil
	}
	if v.metadata {
		o = metadataOf(o)
	}
	if v.by.Transform == nil {
		return o
	}
	shown, err := v.by.Transform(o.DeepCopyObject())
	if err != nil {
		panic(err)
	}
	return shown.(client.Object)
}

// list fills the view as of a version, and tells of every object.
func (v *informer) list(ctx context.Context, version int) {
	v.at, v.objects = version, state{}
	then := v.store.at(version)
	for _, i := range then.ids(v.kind) {
		if o := v.show(then[i]); o != nil {
			v.objects[i] = o
			v.tell(ctx, nil, o)
		}
	}
}

// follow goes forward to a version. What happened to an object on the way is one event, as after a watch
// that broke.
func (v *informer) follow(ctx context.Context, version int) {
	var changed []id
	for _, c := range v.store.log[v.at:version] {
		if c.id.kind == v.kind && !slices.Contains(changed, c.id) {
			changed = append(changed, c.id)
		}
	}
	then := v.store.objects
	if len(changed) > 0 && version < v.store.version() {
		then = v.store.at(version)
	}
	v.at = version
	for _, i := range changed {
		before, after := v.objects[i], v.show(then[i])
		if after == nil {
			delete(v.objects, i)
		} else {
			v.objects[i] = after
		}
		if before != nil && after != nil && before.GetResourceVersion() == after.GetResourceVersion() {
			continue
		}
		v.tell(ctx, before, after)
	}
}

// next is the version of the next change of the kind after the one that is shown; the present one if there is
// none.
func (v *informer) next() int {
	for n, c := range v.store.log[v.at:] {
		if c.id.kind == v.kind {
			return v.at + n + 1
		}
	}
	return v.store.version()
}

func (v *informer) behind() bool {
	return slices.ContainsFunc(v.store.log[v.at:], func(c change) bool { return c.id.kind == v.kind })
}

func (v *informer) tell(ctx context.Context, before, after client.Object) {
	for _, l := range v.handlers {
		all := predicate.And(l.predicates...)
		switch {
		case before == nil && after == nil:
		case before == nil:
			if e := (event.CreateEvent{Object: after}); all.Create(e) {
				l.handler.Create(ctx, e, l.queue)
			}
		case after == nil:
			if e := (event.DeleteEvent{Object: before}); all.Delete(e) {
				l.handler.Delete(ctx, e, l.queue)
			}
		default:
			if e := (event.UpdateEvent{ObjectOld: before, ObjectNew: after}); all.Update(e) {
				l.handler.Update(ctx, e, l.queue)
			}
		}
	}
}

// views are all of a process's: its cache.
type views struct {
	informers []*informer
	indexes   []process.Index
}

func isMetadata(o any) bool {
	switch o.(type) {
	case *metav1.PartialObjectMetadata, *metav1.PartialObjectMetadataList:
		return true
	}
	return false
}

// of is the view of a kind, nil if there is none.
func (c *views) of(kind string, metadata bool) *informer {
	for _, v := range c.informers {
		if v.kind == kind && v.metadata == metadata {
			return v
		}
	}
	return nil
}

func (c *views) get(key client.ObjectKey, out client.Object) error {
	k := kindOf(out)
	v := c.of(k.name, isMetadata(out))
	if v == nil {
		return fmt.Errorf("%s isn't in the cache", k.name)
	}
	return get(v.objects, k, key, out, v.copies(nil))
}

// copies are how objects are handed out: whoever asks for shared memory gets it.
func (v *informer) copies(o *client.ListOptions) func(to, from client.Object) {
	if unsafe := v.by.UnsafeDisableDeepCopy; (unsafe != nil && *unsafe) || (o != nil && o.UnsafeDisableDeepCopy != nil && *o.UnsafeDisableDeepCopy) {
		return share
	}
	return assign
}

func get(from state, k kind, key client.ObjectKey, out client.Object, hand func(to, from client.Object)) error {
	if !k.namespaced {
		key.Namespace = ""
	}
	o := from[id{k.name, key.Namespace, key.Name}]
	if o == nil {
		return apierrors.NewNotFound(k.resource(), key.Name)
	}
	hand(out, o)
	return nil
}

func (c *views) list(out client.ObjectList, opts ...client.ListOption) error {
	k := kindOf(out)
	v := c.of(k.name, isMetadata(out))
	if v == nil {
		return fmt.Errorf("%s isn't in the cache", k.name)
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	matches := func(client.Object) bool { return true }
	if o.FieldSelector != nil {
		asked := o.FieldSelector.Requirements()[0]
		at := slices.IndexFunc(c.indexes, func(i process.Index) bool {
			return kindName(i.Object) == k.name && isMetadata(i.Object) == v.metadata && i.Field == asked.Field
		})
		if at < 0 {
			return fmt.Errorf("no index of %s by %s", k.name, asked.Field)
		}
		matches = func(o client.Object) bool { return slices.Contains(c.indexes[at].Keys(o), asked.Value) }
	}
	list(v.objects, k, out, &o, matches, v.copies(&o))
	return nil
}

// list fills a list with copies of the objects that match, in order.
func list(from state, k kind, out client.ObjectList, o *client.ListOptions, matches func(client.Object) bool, hand func(to, from client.Object)) {
	items := reflect.ValueOf(out).Elem().FieldByName("Items")
	found := reflect.MakeSlice(items.Type(), 0, 8)
	for _, i := range from.ids(k.name) {
		object := from[i]
		if (o.Namespace != "" && i.namespace != o.Namespace) || !matches(object) ||
			(o.LabelSelector != nil && !o.LabelSelector.Matches(labels.Set(object.GetLabels()))) {
			continue
		}
		item := reflect.New(items.Type().Elem())
		hand(item.Interface().(client.Object), object)
		found = reflect.Append(found, item.Elem())
	}
	items.Set(found)
}
