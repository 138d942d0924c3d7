// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// header is what every object has.
type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

func (s *Set) addSource(src source, o Options) {
	place := Place{File: src.file}
	if src.err != nil {
		s.problem(Problem{Place: place, Message: cause(src.err)})
		return
	}
	docs, err := split(src)
	if err != nil {
		s.problem(syntaxProblem(place, err))
		return
	}
	for i, doc := range docs {
		place := Place{File: src.file, Line: doc.line}
		if len(docs) > 1 {
			place.Document = i + 1
		}
		s.addDocument(doc, place, o)
	}
}

func (s *Set) problem(p Problem) { s.Problems = append(s.Problems, p) }

func (s *Set) addDocument(doc *text, place Place, o Options) {
	data, err := yaml.YAMLToJSONStrict(doc.data)
	if err != nil {
		for _, e := range yamlErrors(err, doc) {
			s.problem(syntaxProblem(place, e))
		}
		return
	}
	s.addObject(object{doc: doc, json: data, place: place}, o)
}

// object is one object of a document.
type object struct {
	doc    *text
	json   []byte
	place  Place
	prefix string // "items[2]." in a List
}

func (s *Set) addObject(obj object, o Options) {
	var h header
	if err := kjson.UnmarshalCaseSensitivePreserveInts(obj.json, &h); err != nil {
		s.problem(obj.typeProblem(err, &header{}))
		return
	}
	gv, err := schema.ParseGroupVersion(h.APIVersion)
	switch {
	case err != nil:
		s.problem(obj.problem("apiVersion", err.Error()))
	case h.APIVersion == "" && h.Kind == "" && isKustomizeConfig(obj.json):
		s.Skipped = append(s.Skipped, Skipped{Place: obj.place, Object: "a configuration of kustomize"})
	case h.APIVersion == "" || h.Kind == "":
		s.problem(obj.problem("", "not a Kubernetes object: apiVersion and kind are needed"))
	case h.APIVersion == "v1" && h.Kind == "List", gv == v1alpha1.GroupVersion && h.Kind == "BPFMapList":
		s.addItems(obj, h.Items, o)
	case h.APIVersion == "v1" && (h.Kind == "ConfigMap" || h.Kind == "Secret"):
		s.addSourceObject(obj, h.Kind, o)
	case gv.Group != v1alpha1.GroupVersion.Group:
		s.Skipped = append(s.Skipped, Skipped{Place: obj.place, Object: strings.TrimSpace(h.Kind + " " + h.Metadata.Name)})
	case gv != v1alpha1.GroupVersion:
		s.problem(obj.problem("apiVersion", fmt.Sprintf("version %s of %s is unknown (known: %s)",
			gv.Version, gv.Group, v1alpha1.GroupVersion.Version)))
	case h.Kind != "BPFMap":
		s.problem(obj.problem("kind", kindMessage(h.Kind)))
	default:
		s.addMap(obj, o)
	}
}

// kustomizeConfig are the fields of a transformer configuration of kustomize (sigs.k8s.io/kustomize/api, TransformerConfig),
// which says where kustomize finds names and the like. It has no kind, and stands among manifests.
var kustomizeConfig = []string{
	"namePrefix", "nameSuffix", "namespace", "commonLabels", "labels", "templateLabels", "commonAnnotations", "nameReference",
	"varReference", "images", "replicas",
}

func isKustomizeConfig(text []byte) bool {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || len(fields) == 0 {
		return false
	}
	for name := range fields {
		if !slices.Contains(kustomizeConfig, name) {
			return false
		}
	}
	return true
}

func kindMessage(kind string) string {
	switch {
	case kind == "BPFMapRevision" || kind == "BPFMapChunk" || kind == "BPFNodeState":
		return kind + " is written by the operator, only BPFMap can be declared"
	case strings.EqualFold(kind, "BPFMap"):
		return fmt.Sprintf("unknown kind %s (did you mean BPFMap?)", kind)
	}
	return fmt.Sprintf("unknown kind %s of group %s", kind, v1alpha1.GroupVersion.Group)
}

func (s *Set) addItems(list object, items []json.RawMessage, o Options) {
	for i, item := range items {
		obj := object{doc: list.doc, json: item, place: list.place, prefix: fmt.Sprintf("%sitems[%d].", list.prefix, i)}
		at, _ := list.doc.find(obj.prefix)
		obj.place = obj.place.at(at)
		s.addObject(obj, o)
	}
}

func (s *Set) addMap(obj object, o Options) {
	m := &v1alpha1.BPFMap{}
	strict, err := kjson.UnmarshalStrict(obj.json, m)
	if m.Namespace == "" {
		m.Namespace = o.Namespace
	}
	before := len(s.Problems)
	switch {
	case err != nil:
		s.problem(obj.typeProblem(err, &v1alpha1.BPFMap{}))
	case m.Name == "":
		s.problem(obj.problem("metadata.name", "a name is needed"))
	case o.NamespaceEnforced && m.Namespace != o.Namespace:
		s.problem(obj.problem("metadata.namespace", fmt.Sprintf("is %s, and --namespace says %s", m.Namespace, o.Namespace)))
	}
	for _, err := range strict {
		s.problem(obj.strictProblem(err))
	}
	for _, p := range obj.ambiguousNumbers() {
		s.problem(p)
	}
	own := s.Problems[before:]
	slices.SortStableFunc(own, func(a, b Problem) int { return a.Place.Line - b.Place.Line })
	for i := range own {
		if m.Name != "" {
			own[i].Object = m.Namespace + "/" + m.Name
		}
	}
	if len(own) == 0 {
		s.Manifests = append(s.Manifests, Manifest{Map: m, Place: obj.place, text: obj.doc, prefix: obj.prefix})
	}
}
