// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// readNFTables reads what `nft -j list set` and `nft -j list ruleset` write (libnftables-json(5)): {"nftables": [{"set":
// {"name": …, "elem": […]}}, …]}. Sets are read element by element.
func readNFTables(in *bufio.Reader, o Options, yield func(Entry) error) error {
	if o.Value == nil && !o.Keyless && (o.Mapping == nil || o.Mapping.value == nil) {
		return errorf(0, "the format NFTables needs a value for its keys")
	}
	n := nftReader{jsonReader: jsonReader{scan: newScanner(in, start), o: &o, mapper: forDocuments(o, yield), told: &documentMembers{}}}
	n.sets.filtered = n.mapper.filter != nil
	if o.Mapping == nil || o.Mapping.key == nil {
		n.mapper.key = &part{from: ofPath, path: path{{name: "elem"}}, way: "elem"}
	}
	if o.Keyless {
		n.mapper.key = nil
	}
	if err := n.read(); err != nil {
		return err
	}
	if !n.any {
		return errorf(0, "has no set or map: nft -j list set, or list ruleset, writes {\"nftables\": [{\"set\": {…}}]}")
	}
	return nil
}

type nftReader struct {
	jsonReader
	sets oneSet
	any  bool
	// set are the members of the set that is read, as JSON, which tell elements from those of others.
	set  map[string][]byte
	room []byte
}

func (n *nftReader) read() error {
	token, err := n.scan.token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := n.members(token, func(name string) error {
		if name != "nftables" {
			return n.scan.skip()
		}
		return n.elements(func() error { return n.object(n.listed) })
	}); err != nil {
		return err
	}
	return n.scan.end()
}

// listed takes one object of the list: a set, a map, or something else.
func (n *nftReader) listed(name string) error {
	switch name {
	case "set", "map", "element":
		n.any = true
		n.set = map[string][]byte{}
		return n.object(n.ofSet)
	}
	return n.scan.skip()
}

// ofSet takes one member of a set.
func (n *nftReader) ofSet(name string) error {
	switch name {
	case "elem":
		return n.elements(n.element)
	case "family", "table", "name":
		raw, _, err := n.scan.value()
		if err != nil {
			return err
		}
		n.set[name] = append([]byte(nil), raw...)
		return nil
	}
	return n.scan.skip()
}

func (n *nftReader) object(each func(name string) error) error {
	token, err := n.scan.token()
	if err != nil {
		return err
	}
	return n.members(token, each)
}

func (n *nftReader) members(token json.Token, each func(name string) error) error {
	if token != json.Delim('{') {
		return n.scan.here().errorf("must be an object, and is %s", tokenName(token))
	}
	for n.scan.more() {
		token, err := n.scan.token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // the decoder lets nothing else be one
		if err := each(name); err != nil {
			return err
		}
	}
	_, err := n.scan.token()
	return err
}

func (n *nftReader) elements(each func() error) error {
	token, err := n.scan.token()
	if err != nil {
		return err
	}
	if token != json.Delim('[') {
		return n.scan.here().errorf("must be a list, and is %s", tokenName(token))
	}
	for n.scan.more() {
		if err := each(); err != nil {
			return err
		}
	}
	_, err = n.scan.token()
	return err
}

// element takes one element of a set, or of a map, where it is a list of two.
func (n *nftReader) element() error {
	raw, at, err := n.scan.value()
	if err != nil {
		return err
	}
	if n.set["name"] == nil {
		return at.errorf("an element stands before the name of its set")
	}
	item := n.room[:0]
	item = append(item, '{')
	for _, name := range []string{"family", "table"} {
		if value := n.set[name]; value != nil {
			item = append(append(append(item, '"'), name...), `":`...)
			item = append(append(item, value...), ',')
		}
	}
	item = append(append(item, `"set":`...), n.set["name"]...)
	if item, err = appendElement(item, raw); err != nil {
		return n.o.invalid(at.line, err.Error())
	}
	item = append(item, '}')
	n.room = item
	set, err := rawjson.Check(n.room)
	if err != nil {
		return n.o.invalid(at.line, err.Error())
	}
	name, err := rawjson.Text(n.set["name"])
	if err != nil {
		return at.errorf("%v", err)
	}
	if err := n.sets.check(at.line, name); err != nil {
		return err
	}
	n.item.line, n.item.raw = at.line, set
	return n.mapper.take(&n.item)
}

// appendElement appends the members of an element: elem, data and its options.
func appendElement(dst, raw []byte) ([]byte, error) {
	if rawjson.IsList(raw) { // of a map
		w := rawjson.Walk(raw)
		key, ok := w.Element()
		data, both := w.Element()
		if !ok || !both {
			return dst, errors.New("an element of a map must be a list of two")
		}
		dst, err := appendKey(dst, key)
		return append(append(dst, `,"data":`...), data...), err
	}
	return appendKey(dst, raw)
}

func appendKey(dst, raw []byte) ([]byte, error) {
	inside, options := raw, []byte(nil)
	if elem, ok := member(raw, "elem"); ok && rawjson.IsObject(elem) {
		value, ok := member(elem, "val")
		if !ok {
			return dst, errors.New("an elem has no val")
		}
		inside, options = value, elem
	}
	dst = append(dst, `,"elem":`...)
	var err error
	if dst, err = appendElem(dst, inside); err != nil || options == nil {
		return dst, err
	}
	for w := rawjson.Walk(options); ; {
		quoted, value, _, ok := w.Member()
		if !ok {
			return dst, nil
		}
		if !isNamed(quoted, "val") {
			dst = append(append(append(append(dst, ','), quoted...), ':'), value...)
		}
	}
}

// appendElem appends what an element stands for: as it is written, {"prefix": …} and {"range": …} as texts, and the parts
// of {"concat": …} as a list.
func appendElem(dst, raw []byte) ([]byte, error) {
	if !rawjson.IsObject(raw) {
		return append(dst, raw...), nil
	}
	if prefix, ok := member(raw, "prefix"); ok && rawjson.IsObject(prefix) {
		addr, hasAddr := member(prefix, "addr")
		length, hasLength := member(prefix, "len")
		if !hasAddr || !hasLength || !rawjson.IsString(addr) || !rawjson.IsNumber(length) {
			return dst, errors.New("a prefix must have addr and len")
		}
		return append(append(append(append(dst, addr[:len(addr)-1]...), '/'), length...), '"'), nil
	}
	if ends, ok := member(raw, "range"); ok && rawjson.IsList(ends) {
		w := rawjson.Walk(ends)
		first, ok := w.Element()
		last, both := w.Element()
		if !ok || !both {
			return dst, errors.New("a range must be a list of two")
		}
		return append(append(append(append(append(dst, '"'), bare(first)...), '-'), bare(last)...), '"'), nil
	}
	if parts, ok := member(raw, "concat"); ok && rawjson.IsList(parts) {
		return appendConcat(dst, parts)
	}
	return dst, fmt.Errorf("an element must be a value, prefix, range or concat: it is %s", shown(string(raw)))
}

func appendConcat(dst, parts []byte) ([]byte, error) {
	dst = append(dst, '[')
	first := true
	for w := rawjson.Walk(parts); ; {
		element, ok := w.Element()
		if !ok {
			return append(dst, ']'), nil
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if inner, ok := member(element, "concat"); ok && rawjson.IsList(inner) {
			return dst, errors.New("a concat in a concat is not supported")
		}
		var err error
		if dst, err = appendElem(dst, element); err != nil {
			return dst, err
		}
	}
}

// bare is a string without its quotes, or a number.
func bare(raw []byte) []byte {
	if rawjson.IsString(raw) {
		return raw[1 : len(raw)-1]
	}
	return raw
}

// member is a member of an object; false if raw isn't one, or has none of that name.
func member(raw []byte, name string) ([]byte, bool) {
	if !rawjson.IsObject(raw) {
		return nil, false
	}
	return path{{name: name}}.find(raw)
}
