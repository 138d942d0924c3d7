// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Prefix is where questions are asked: "/v1/" and What.
const Prefix = "/v1/"

// What is asked.
type What string

// What can be asked of a node.
const (
	// Elements are all elements of a map, in a format of the command dump.
	Elements What = "elements"
	// Element is the value of one key.
	Element What = "element"
	// Digest is how many elements a map has, and a digest of them: a Summary.
	Digest What = "digest"
	// Manifest is the map as a BPFMap.
	Manifest What = "manifest"
	// Plan is what the agent would change to bring a managed map to its revision: a Planned.
	Plan What = "plan"
	// Usage is how full the managed maps are, of all namespaces, of one, or one map: a list of Usages.
	Usage What = "usage"
)

// The formats of Elements and Element.
var formats = []string{"text", "json", "yaml", "hex"}

// The names of parameters.
const (
	paramNamespace = "namespace"
	paramName      = "name"
	paramPin       = "pin"
	paramFormat    = "format"
	paramKey       = "key"
	paramNonZero   = "nonzero"
	paramDeclared  = "declared"
	paramSalt      = "salt"
	paramEntries   = "entries"
	paramLimit     = "limit"
	paramInto      = "into"
	paramAs        = "as"
)

// takes says which parameters each question has.
var takes = map[What][]string{
	Elements: {paramNamespace, paramName, paramPin, paramFormat, paramNonZero, paramDeclared},
	Element:  {paramNamespace, paramName, paramPin, paramFormat, paramKey},
	Digest:   {paramNamespace, paramName, paramPin, paramSalt, paramDeclared},
	Manifest: {paramNamespace, paramName, paramPin, paramEntries, paramLimit, paramInto, paramAs},
	Plan:     {paramNamespace, paramName},
	Usage:    {paramNamespace, paramName},
}

// Question is what somebody asks.
type Question struct {
	What What
	// Key is the BPFMap whose map it is about; Pin, an absolute path of the node, is any map that is pinned in its BPF file
	// system. One of them is empty. For Usage both may be, or the name.
	Key revision.Key
	Pin string
	// Format is how Elements and Element are written: text, json, yaml or hex.
	Format string
	// Parts are the key of Element, as the command line takes it.
	Parts []string
	// NonZero leaves out elements whose value is all zeros.
	NonZero bool
	// Declared leaves out what programs own of each value: it differs from node to node and from moment to moment.
	Declared bool
	// Salt goes into the digest, so that nobody can make two contents with the same one beforehand.
	Salt string
	// Entries writes the elements into a Manifest, at most Limit of them.
	Entries bool
	Limit   int
	// Into and As are the namespace and name that a Manifest gets; empty for those of the map.
	Into, As string
}

// The bounds of a question, in bytes.
const (
	maxQuery = 16 << 10
	maxPin   = 4096
	maxSalt  = 64
	// MaxLimit is the most entries of a Manifest, as many as a BPFMap holds inline.
	MaxLimit = 65536
)

// URL is the path and query of a question.
func (q *Question) URL() string {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set(paramNamespace, q.Key.Namespace)
	set(paramName, q.Key.Name)
	set(paramPin, q.Pin)
	set(paramFormat, q.Format)
	set(paramSalt, q.Salt)
	set(paramInto, q.Into)
	set(paramAs, q.As)
	if len(q.Parts) > 0 {
		v[paramKey] = q.Parts
	}
	if q.NonZero {
		set(paramNonZero, "true")
	}
	if q.Declared {
		set(paramDeclared, "true")
	}
	if q.Entries {
		set(paramEntries, "true")
	}
	if q.Limit != 0 {
		set(paramLimit, strconv.Itoa(q.Limit))
	}
	return Prefix + string(q.What) + "?" + v.Encode()
}

// ParseQuestion reads what URL wrote. Anything else is an error: what isn't understood is never left out of an answer.
func ParseQuestion(u *url.URL) (*Question, error) {
	what, found := strings.CutPrefix(u.Path, Prefix)
	q := &Question{What: What(what)}
	allowed, known := takes[q.What]
	if !found || !known {
		return nil, fmt.Errorf("%q is not something that can be asked: is the agent older than the command?", u.Path)
	}
	if len(u.RawQuery) > maxQuery {
		return nil, fmt.Errorf("the question has %d bytes, at most %d are allowed", len(u.RawQuery), maxQuery)
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("read the question: %w", err)
	}
	for name, value := range values {
		switch {
		case !slices.Contains(allowed, name):
			return nil, fmt.Errorf("%s: there is no parameter %q: is the agent older than the command?", what, name)
		case name != paramKey && len(value) != 1:
			return nil, fmt.Errorf("%s: parameter %q is given %d times", what, name, len(value))
		}
	}
	q.Key = revision.Key{Namespace: values.Get(paramNamespace), Name: values.Get(paramName)}
	q.Pin, q.Format, q.Parts, q.Salt = values.Get(paramPin), values.Get(paramFormat), values[paramKey], values.Get(paramSalt)
	q.Into, q.As = values.Get(paramInto), values.Get(paramAs)
	if q.NonZero, err = flag(values, paramNonZero); err != nil {
		return nil, err
	}
	if q.Declared, err = flag(values, paramDeclared); err != nil {
		return nil, err
	}
	if q.Entries, err = flag(values, paramEntries); err != nil {
		return nil, err
	}
	if text := values.Get(paramLimit); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > MaxLimit {
			return nil, fmt.Errorf("limit %q: must be a number between 1 and %d", text, MaxLimit)
		}
	}
	return q, q.check()
}

func flag(values url.Values, name string) (bool, error) {
	switch text := values.Get(name); text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fmt.Errorf("%s %q: must be true or false", name, text)
	}
}

func (q *Question) check() error {
	if err := q.checkTarget(); err != nil {
		return err
	}
	switch {
	case slices.Contains(takes[q.What], paramFormat) && !slices.Contains(formats, q.Format):
		return fmt.Errorf("format %q: must be one of %s", q.Format, strings.Join(formats, ", "))
	case q.What == Element && q.Format == "yaml":
		return errors.New("format yaml is for all elements of a map: must be text, json or hex")
	case len(q.Salt) > maxSalt:
		return fmt.Errorf("the salt has %d bytes, at most %d are allowed", len(q.Salt), maxSalt)
	}
	return nil
}

// checkTarget says whether the question is about something that can be named.
func (q *Question) checkTarget() error {
	if q.What == Usage && q.Key.Name == "" {
		if q.Key.Namespace == "" {
			return nil
		}
		return revision.Key{Namespace: q.Key.Namespace, Name: "any"}.Check()
	}
	if q.Pin == "" {
		return q.Key.Check()
	}
	switch {
	case q.Key != revision.Key{}:
		return errors.New("either the namespace and name of a BPFMap, or a pin, must be given")
	case len(q.Pin) > maxPin:
		return fmt.Errorf("the pin has %d bytes, at most %d are allowed", len(q.Pin), maxPin)
	case !path.IsAbs(q.Pin) || path.Clean(q.Pin) != q.Pin:
		return fmt.Errorf("pin %q must be an absolute path without '..', '.' and empty elements", q.Pin)
	}
	return nil
}

// Subject is what the question is about, for people.
func (q *Question) Subject() string {
	switch {
	case q.Pin != "":
		return "the map at " + q.Pin
	case q.Key.Name != "":
		return "BPFMap " + q.Key.String()
	case q.Key.Namespace != "":
		return "all BPFMaps of namespace " + q.Key.Namespace
	}
	return "all BPFMaps"
}
