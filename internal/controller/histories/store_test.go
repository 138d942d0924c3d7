// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// id names an object.
type id struct{ kind, namespace, name string }

func (i id) String() string { return i.kind + " " + i.namespace + "/" + i.name }

func compareIDs(a, b id) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// state is what an API server holds. Its objects never change: a write replaces them.
type state map[id]client.Object

// change is one write: what an object was and what it became, nil if there was or is none.
type change struct {
	id            id
	before, after client.Object
}

// store is an API server with all its past. Its resource versions count the writes from 1.
type store struct {
	now     func() time.Time
	log     []change
	objects state
	// namespaces are those that exist; true is one that is being deleted.
	namespaces map[string]bool
	uids       int
}

func newStore(now func() time.Time) *store {
	return &store{now: now, objects: state{}, namespaces: map[string]bool{}}
}

func (s *store) version() int { return len(s.log) }

// at is what the store held at a version.
func (s *store) at(version int) state {
	then := make(state, len(s.objects))
	for k, o := range s.objects {
		then[k] = o
	}
	for _, c := range slices.Backward(s.log[version:]) {
		if c.before == nil {
			delete(then, c.id)
			continue
		}
		then[c.id] = c.before
	}
	return then
}

// put writes an object that belongs to the store from now on.
func (s *store) put(o client.Object) {
	i := idOf(o)
	o.SetResourceVersion(strconv.Itoa(len(s.log) + 1))
	s.log = append(s.log, change{i, s.objects[i], o})
	s.objects[i] = o
}

func (s *store) remove(i id) {
	s.log = append(s.log, change{i, s.objects[i], nil})
	delete(s.objects, i)
}

// create is POST. The object becomes what was stored.
func (s *store) create(o client.Object) error {
	i, k := idOf(o), kindOf(o)
	switch terminating, exists := s.namespaces[i.namespace]; {
	case o.GetResourceVersion() != "":
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	case k.namespaced && !exists:
		return apierrors.NewNotFound(namespaceResource, i.namespace)
	case s.objects[i] != nil:
		return apierrors.NewAlreadyExists(k.resource(), i.name)
	case k.namespaced && terminating:
		return apierrors.NewForbidden(k.resource(), i.name, fmt.Errorf("unable to create new content in namespace %s because it is being terminated", i.namespace))
	}
	stored := o.DeepCopyObject().(client.Object)
	s.uids++
	stored.SetUID(types.UID(fmt.Sprintf("uid-%d", s.uids)))
	stored.SetCreationTimestamp(metav1.NewTime(s.now()).Rfc3339Copy())
	if k.custom {
		stored.SetGeneration(1)
	}
	if k.status != nil {
		k.status(stored, k.empty())
	}
	s.put(stored)
	assign(o, stored)
	return nil
}

// update is PUT, of the status alone or of everything but the status.
func (s *store) update(o client.Object, status bool) error {
	i, k := idOf(o), kindOf(o)
	old := s.objects[i]
	switch {
	case old == nil:
		return apierrors.NewNotFound(k.resource(), i.name)
	case o.GetResourceVersion() == "":
		return apierrors.NewInvalid(k.of(), i.name, nil)
	}
	return s.replace(o, old, o.DeepCopyObject().(client.Object), status)
}

// replace stores what an object is to be, after the checks that every write of an old one passes.
func (s *store) replace(o, old, next client.Object, status bool) error {
	i, k := idOf(old), kindOf(old)
	if version := next.GetResourceVersion(); version != "" && version != old.GetResourceVersion() {
		return apierrors.NewConflict(k.resource(), i.name, fmt.Errorf("the object has been modified"))
	}
	if uid := next.GetUID(); uid != "" && uid != old.GetUID() {
		return apierrors.NewConflict(k.resource(), i.name, fmt.Errorf("Precondition failed: UID in precondition: %s, UID in object meta: %s", uid, old.GetUID()))
	}
	if status {
		written := next
		next = old.DeepCopyObject().(client.Object)
		k.status(next, written)
	} else {
		if k.status != nil {
			k.status(next, old)
		}
		next.SetUID(old.GetUID())
		next.SetCreationTimestamp(old.GetCreationTimestamp())
		next.SetGeneration(old.GetGeneration())
		changed := k.custom && !equality.Semantic.DeepEqual(k.spec(old), k.spec(next))
		if changed && k.immutable {
			return apierrors.NewInvalid(k.of(), i.name, nil)
		}
		if changed {
			next.SetGeneration(old.GetGeneration() + 1)
		}
	}
	next.SetResourceVersion(old.GetResourceVersion())
	if equality.Semantic.DeepEqual(old, next) { // as in an API server, nothing is written
		assign(o, old)
		return nil
	}
	s.put(next)
	assign(o, next)
	return nil
}

// patch is PATCH by a JSON or a merge patch.
func (s *store) patch(o client.Object, p client.Patch, status bool) error {
	i, k := idOf(o), kindOf(o)
	old := s.objects[i]
	if old == nil {
		return apierrors.NewNotFound(k.resource(), i.name)
	}
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	text, err := json.Marshal(old)
	if err != nil {
		return err
	}
	switch p.Type() {
	case types.MergePatchType:
		text, err = jsonpatch.MergePatch(text, data)
	case types.JSONPatchType:
		var operations jsonpatch.Patch
		if operations, err = jsonpatch.DecodePatch(data); err == nil {
			text, err = operations.Apply(text)
		}
	default:
		err = fmt.Errorf("patches of type %s aren't known here", p.Type())
	}
	if err != nil {
		return apierrors.NewInvalid(k.of(), i.name, nil)
	}
	next := k.empty()
	if err := json.Unmarshal(text, next); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return s.replace(o, old, next, status)
}

// delete is DELETE. Nothing here has finalizers.
func (s *store) delete(o client.Object, p *metav1.Preconditions) error {
	i, k := idOf(o), kindOf(o)
	old := s.objects[i]
	switch {
	case old == nil:
		return apierrors.NewNotFound(k.resource(), i.name)
	case p != nil && p.UID != nil && *p.UID != old.GetUID():
		return apierrors.NewConflict(k.resource(), i.name, fmt.Errorf("Precondition failed: UID in precondition: %s", *p.UID))
	case p != nil && p.ResourceVersion != nil && *p.ResourceVersion != old.GetResourceVersion():
		return apierrors.NewConflict(k.resource(), i.name, fmt.Errorf("Precondition failed: ResourceVersion in precondition: %s", *p.ResourceVersion))
	}
	s.remove(i)
	return nil
}

// garbage are the objects all of whose owners are gone, in order.
func (s *store) garbage() (list []id) {
	for i, o := range s.objects {
		owners := o.GetOwnerReferences()
		if len(owners) > 0 && !slices.ContainsFunc(owners, func(r metav1.OwnerReference) bool { return s.exists(i.namespace, r) }) {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, compareIDs)
	return list
}

func (s *store) exists(namespace string, r metav1.OwnerReference) bool {
	if !kinds[r.Kind].namespaced {
		namespace = ""
	}
	owner := s.objects[id{r.Kind, namespace, r.Name}]
	return owner != nil && owner.GetUID() == r.UID
}

// ids are the objects of a kind, in order.
func (st state) ids(kind string) (list []id) {
	for i := range st {
		if i.kind == kind {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, compareIDs)
	return list
}

func bpfMap(o client.Object) *v1alpha1.BPFMap { m, _ := o.(*v1alpha1.BPFMap); return m }
