// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// anything is a key or value of any type.
func anything(string) ([]expression.Type, error) {
	return []expression.Type{
		expression.Bool, expression.Int, expression.Uint, expression.Double, expression.String, expression.Map, expression.Address,
	}, nil
}

// options are those of a source that is declared like this.
func options(t testing.TB, declared string) source.Options {
	t.Helper()
	var from v1alpha1.EntrySource
	if err := yaml.UnmarshalStrict([]byte(declared), &from); err != nil {
		t.Fatal(err)
	}
	m, problems := source.NewMapping(&from, anything, anything)
	for _, p := range problems {
		t.Fatal(p)
	}
	o := source.Options{Format: from.Format, Text: from.Text, Mapping: m}
	if from.Value != nil {
		o.Value = from.Value.Raw
	}
	return o
}

// readTolerant is read with the items that make no entry.
func readTolerant(text string, o source.Options) string {
	var left strings.Builder
	o.LeaveOut = func(line int, reason, what string) error {
		fmt.Fprintf(&left, "%d: %s %s\n", line, reason, what)
		return nil
	}
	return read(text, o) + left.String()
}

func TestFormats(t *testing.T) {
	const jsonItems = "{format: JSON, value: 1, mapping: {items: \"a[].b[]\", key: {path: k}}}"
	for name, c := range map[string]struct{ declared, text, want string }{
		"comments":       {`{format: Lines, value: 1, text: {comments: [";", "//"]}}`, "; x\na ; y\n// z\nb // c ; d\nc#d\n", "2: \"a\" = 1\n4: \"b\" = 1\n5: \"c#d\" = 1\n"},
		"columns":        {`{format: Lines, value: 1, text: {separator: "|"}}`, "a | b | c\nd\n", "1: \"a\" = 1\n2: \"d\" = 1\n"},
		"blanks":         {`{format: Lines, text: {separator: " "}, mapping: {key: {path: "2"}, value: {path: "1"}}}`, "5 \t a\n6   b  c # d\n", "1: \"a\" = \"5\"\n2: \"b\" = \"6\"\n"},
		"short line":     {`{format: Lines, value: 1, text: {separator: ","}, mapping: {key: {path: "2"}}}`, "a,b\nc\n", "1: \"b\" = 1\n2: Invalid has no key: nothing is at 2\n"},
		"names":          {`{format: Lines, text: {separator: ",", columns: [x, z]}, mapping: {key: {expression: item.z}, value: {expression: 'item.x + item["3"]'}}}`, "1,2,3\n", "1: \"2\" = \"13\"\n"},
		"header":         {`{format: Lines, value: 1, text: {separator: ",", header: Present}, mapping: {key: {path: net}}}`, "id,net\n1,a\n", "2: \"a\" = 1\n"},
		"header, absent": {`{format: Lines, value: 1, text: {separator: ",", header: Present}, mapping: {key: {path: net}}}`, "id,nets\n1,a\n", "error: the text has no column \"net\": it is \"id,nets\"\n"},
		"filter lines":   {`{format: Lines, value: 1, mapping: {filter: "!item[\"1\"].startsWith(\"x\")"}}`, "a\nxb\nc\n", "1: \"a\" = 1\n3: \"c\" = 1\n2: Filtered \n"},

		"csv separator":      {`{format: CSV, text: {separator: ";", comments: ["%"]}}`, "% c\nkey;value\na;\"b;c\"\n", "3: \"a\" = \"b;c\"\n"},
		"csv no header":      {`{format: CSV, text: {header: None}, value: 7, mapping: {key: {path: "2"}}}`, "1,a\n2,b,c\n3\n", "1: \"a\" = 7\n2: \"b\" = 7\n3: Invalid has no key: nothing is at 2\n"},
		"csv names":          {`{format: CSV, text: {columns: [key, value.x]}}`, "a,1\n", "1: \"a\" = {\"x\":\"1\"}\n"},
		"csv other names":    {`{format: CSV, text: {columns: [key, value], header: Present}}`, "Network,Note\na,1\n", "2: \"a\" = \"1\"\n"},
		"csv ignored":        {`{format: CSV, mapping: {key: {path: network}, value: {path: count}}}`, "network,junk,count\na,x,1\n", "2: \"a\" = \"1\"\n"},
		"csv keys by name":   {`{format: CSV, mapping: {filter: item.junk == "x"}}`, "key,junk,value\na,x,1\nb,y,1\n", "2: \"a\" = \"1\"\n3: Filtered \n"},
		"csv absent":         {`{format: CSV, value: 1, mapping: {key: {path: cidr}}}`, "network,n\na,x\n", "error: the header has no column \"cidr\": it is \"network,n\"\n"},
		"csv absent in CEL":  {`{format: CSV, value: 1, mapping: {key: {expression: item.cidr}}}`, "network,n\na,x\n", "error: the header has no column \"cidr\", which an expression needs\n"},
		"csv asked in CEL":   {`{format: CSV, value: 1, mapping: {key: {expression: "has(item.cidr) ? item.cidr : item.network"}}}`, "network,n\na,x\n", "2: \"a\" = 1\n"},
		"csv fill":           {`{format: CSV, value: {a: 1, b: 2, c: {d: 3}}}`, "key,value.a,value.c.e\nk,9,5\nl,,5\n", "2: \"k\" = {\"a\":\"9\",\"c\":{\"e\":\"5\",\"d\":3},\"b\":2}\n3: \"l\" = {\"a\":1,\"c\":{\"e\":\"5\",\"d\":3},\"b\":2}\n"},
		"csv too many":       {`{format: CSV, value: 1, mapping: {key: {path: a}}}`, "a,b\n1,2\n3,4,5\n", "2: \"1\" = 1\n3: Invalid has 3 columns, and there are 2 names for them\n"},
		"csv fields, keys":   {`{format: CSV, value: 1, mapping: {key: {fields: {addr: {path: a}, port: {expression: "443"}}}}}`, "a,b\nx,2\n", "2: {\"addr\":\"x\",\"port\":443} = 1\n"},
		"csv expires":        {`{format: CSV, value: 1, mapping: {key: {path: a}, expires: {path: until}}}`, "a,until\nx,2030-01-01T00:00:00Z\n", "2: \"x\" = 1 until \"2030-01-01T00:00:00Z\"\n"},
		"csv expires, named": {`{format: CSV, value: 1, mapping: {key: {path: a}}}`, "a,expires\nx,5\n", "2: \"x\" = 1 until \"5\"\n"},

		"json items":        {jsonItems, `{"x": [1, {"a": 2}], "a": [{"b": [{"k": "p"}, {"k": 5, "z": 1}]}, {"c": 1}, {"b": null}, {"b": []}]}`, "1: \"p\" = 1\n1: 5 = 1\n"},
		"json lines":        {jsonItems, "{\"a\": [{\"b\": [{\"k\": 1}]}]}\n{\"a\": [{\"b\": [{\"k\": 2}]}]}\n", "1: 1 = 1\n2: 2 = 1\n"},
		"json no items":     {jsonItems, `{"x": 1, "y": {"a": []}}`, "error: has nothing at a[].b[] (mapping.items): the members of the document are \"x\", \"y\"\n"},
		"json other list":   {jsonItems, "{\"a\": {\n\"b\": []}}", "error: line 1, column 7: mapping.items: a list for [] is needed, and there is an object\n"},
		"json no document":  {jsonItems, "[1]", "error: has nothing at a[].b[] (mapping.items)\n"},
		"json strings":      {`{format: JSON, value: 1, mapping: {items: "[]"}}`, `["a", "b"]`, "1: \"a\" = 1\n1: \"b\" = 1\n"},
		"json bare list":    {`{format: JSON, value: 1, mapping: {}}`, "[\"a\",\n\"b\"]", "1: \"a\" = 1\n2: \"b\" = 1\n"},
		"json number":       {`{format: JSON, value: 1, mapping: {items: "[]", key: {path: "[1]"}}}`, `[[1, "a"], [2, "b"], [3]]`, "1: \"a\" = 1\n1: \"b\" = 1\n1: Invalid has no key: nothing is at [1]\n"},
		"json any":          {`{format: JSON, value: 1, mapping: {items: "*[]"}}`, `{"web": ["a"], "git": ["b"]}`, "1: \"a\" = 1\n1: \"b\" = 1\n"},
		"json quoted":       {`{format: JSON, value: 1, mapping: {items: "[\"a b\"].c[]"}}`, `{"a b": {"c": ["x"]}}`, "1: \"x\" = 1\n"},
		"json several keys": {`{format: JSON, mapping: {key: {path: "n[].x"}, value: {path: v}}}`, `[{"v": 7, "n": [{"x": "a"}, {"x": "b"}]}, {"v": 8, "n": []}, {"v": 9}]`, "1: \"a\" = 7\n1: \"b\" = 7\n1: Invalid has no key: nothing is at n[].x\n"},
		"json list by CEL":  {`{format: JSON, value: 1, mapping: {key: {expression: 'item.n.filter(x, x != "b")'}}}`, `[{"n": ["a", "b", "c"]}]`, "1: \"a\" = 1\n1: \"c\" = 1\n"},
		"json missing":      {`{format: JSON, value: 1, mapping: {key: {path: k}}}`, `[{"k": "a"}, {}, {"k": null}]`, "1: \"a\" = 1\n1: Invalid has no key: nothing is at k\n1: Invalid has no key: nothing is at k\n"},
		"json CEL fails":    {`{format: JSON, value: 1, mapping: {key: {expression: item.k}}}`, "{\"k\": \"a\"}\n{}\n", "1: \"a\" = 1\n2: Invalid mapping.key.expression: no such key: k\n"},
		"json filter fails": {`{format: JSON, value: 1, mapping: {filter: item.n > 5, key: {path: k}}}`, "{\"k\": \"a\", \"n\": 6}\n{\"k\": \"b\", \"n\": \"x\"}\n{\"k\": \"c\", \"n\": 1}", "1: \"a\" = 1\n2: Invalid mapping.filter: no such overload\n3: Filtered \n"},
		"json value filled": {`{format: JSON, value: {a: 1, b: 2}}`, `[{"key": 1, "value": {"b": 5}}, {"key": 2}]`, "1: 1 = {\"b\": 5,\"a\":1}\n1: 2 = {\"a\":1,\"b\":2}\n"},
		"json big numbers":  {`{format: JSON, value: 1, mapping: {key: {expression: item.k}}}`, `[{"k": 18446744073709551615}, {"k": 1.0}]`, "1: 18446744073709551615 = 1\n1: 1 = 1\n"},
		"json cut":          {jsonItems, `{"a": [{"b": [{"k": "p"}`, "1: \"p\" = 1\nerror: line 1, column 25: unexpected end of input\n"},
		"json bad UTF-8":    {`{format: JSON, value: 1, mapping: {key: {path: k}}}`, "{\"k\": \"\xff\"}\n{\"k\": 1}\n", "2: 1 = 1\n1: Invalid is not valid UTF-8\n"},

		"yaml items":        {`{format: YAML, value: 1, mapping: {items: "a[].b[]", key: {path: k}}}`, "a:\n- b:\n  - k: p\n  - {k: q}\n- c: 1\n", "3: \"p\" = 1\n4: \"q\" = 1\n"},
		"yaml no items":     {`{format: YAML, value: 1, mapping: {items: "a[]"}}`, "b: [1]\n", "error: has nothing at a[] (mapping.items): the members of the document are \"b\"\n"},
		"yaml other list":   {`{format: YAML, value: 1, mapping: {items: "a[]"}}`, "a:\n  b: 1\n", "error: line 2, column 3: mapping.items: a list for [] is needed\n"},
		"yaml strings":      {`{format: YAML, value: 1, mapping: {}}`, "- a\n- b # c\n", "1: \"a\" = 1\n2: \"b\" = 1\n"},
		"yaml members":      {`{format: YAML, value: 1, mapping: {key: {path: net}}}`, "- net: a\n  x: 1\n- {y: 1}\n", "1: \"a\" = 1\n3: Invalid has no key: nothing is at net\n"},
		"yaml alias":        {`{format: YAML, value: 1, mapping: {items: "a[]"}}`, "x: &x [1]\na: *x\n", "error: line 2, column 4: aliases and merge keys are not supported in sources: write the value out\n"},
		"hosts":             {`{format: Hosts, value: 1}`, "# x\n0.0.0.0 a b # c\n::\tc\n", "2: \"a\" = 1\n2: \"b\" = 1\n3: \"c\" = 1\n"},
		"hosts, wrong":      {`{format: Hosts, value: 1}`, "a.example\n0.0.0.0\n", "1: Invalid begins with \"a.example\", which is not an address: a line of a hosts file is an address and names\n2: Invalid has the address 0.0.0.0 without a name\n"},
		"hosts by address":  {`{format: Hosts, mapping: {value: {path: address}}}`, "192.0.2.1 a b\n", "1: \"a\" = \"192.0.2.1\"\n1: \"b\" = \"192.0.2.1\"\n"},
		"ipset":             {`{format: IPSet, value: 1}`, "create s hash:net family inet\nadd s a\nadd s b timeout 5 comment \"x y\"\n-A s c\nadd s d -exist\n", "2: \"a\" = 1\n3: \"b\" = 1\n4: \"c\" = 1\n5: \"d\" = 1\n"},
		"ipset wrong":       {`{format: IPSet, value: 1}`, "swap a b\nadd s\nadd s a color red\nadd s a timeout\nadd s a nomatch\n", "1: Invalid begins with \"swap\": what ipset save writes has create and add\n2: Invalid add needs a set and an entry\n3: Invalid unknown option \"color\" of an entry: known are timeout, packets, bytes, comment, skbmark, skbprio, skbqueue, nomatch\n4: Invalid the option timeout has no value\n5: Invalid a is an exception (nomatch), which is not an entry of a map: leave it out with mapping.filter (!has(item.nomatch)) or declare it with a value of its own\n"},
		"ipset, two":        {`{format: IPSet, value: 1}`, "add s a\nadd t b\n", "1: \"a\" = 1\nerror: line 2: is of the set \"t\", and those before are of \"s\": choose with mapping.filter (item.set == \"s\")\n"},
		"ipset, one of two": {`{format: IPSet, value: 1, mapping: {filter: item.set == "t"}}`, "add s a\nadd t b\n", "2: \"b\" = 1\n1: Filtered \n"},
		"p2p":               {`{format: P2P, mapping: {value: {path: name}}}`, "a:b:1.0.0.0-1.0.0.9\nx\n", "1: \"1.0.0.0-1.0.0.9\" = \"a:b\"\n2: Invalid has no colon between a name and a range\n"},

		"nft":          {`{format: NFTables, value: 1}`, `{"nftables": [{"metainfo": {}}, {"set": {"name": "s", "elem": ["a", 5, {"prefix": {"addr": "1.0.0.0", "len": 8}}, {"range": ["a", "b"]}, {"range": [1, 9]}, {"elem": {"val": "z", "timeout": 9}}]}}]}`, "1: \"a\" = 1\n1: 5 = 1\n1: \"1.0.0.0/8\" = 1\n1: \"a-b\" = 1\n1: \"1-9\" = 1\n1: \"z\" = 1\n"},
		"nft concat":   {`{format: NFTables, mapping: {key: {fields: {a: {path: "elem[0]"}, p: {path: "elem[1]"}}}, value: {path: timeout}}}`, `{"nftables": [{"set": {"name": "s", "elem": [{"elem": {"val": {"concat": ["a", 53]}, "timeout": 9}}]}}]}`, "1: {\"a\":\"a\",\"p\":53} = 9\n"},
		"nft map":      {`{format: NFTables, mapping: {value: {path: data}}}`, `{"nftables": [{"map": {"name": "s", "elem": [["a", 1], [{"elem": {"val": "b"}}, 2]]}}]}`, "1: \"a\" = 1\n1: \"b\" = 2\n"},
		"nft wrong":    {`{format: NFTables, value: 1}`, `{"nftables": [{"set": {"name": "s", "elem": [{"prefix": {}}, {"x": 1}, {"elem": {}}]}}]}`, "1: Invalid a prefix must have addr and len\n1: Invalid an element must be a value, prefix, range or concat: it is \"{\\\"x\\\": 1}\"\n1: Invalid an elem has no val\n"},
		"nft two sets": {`{format: NFTables, value: 1}`, `{"nftables": [{"set": {"name": "s", "elem": ["a"]}}, {"set": {"name": "t", "elem": ["b"]}}]}`, "1: \"a\" = 1\nerror: line 1: is of the set \"t\", and those before are of \"s\": choose with mapping.filter (item.set == \"s\")\n"},
		"nft none":     {`{format: NFTables, value: 1}`, `{"nftables": []}`, "error: has no set or map: nft -j list set, or list ruleset, writes {\"nftables\": [{\"set\": {…}}]}\n"},
		"nft nothing":  {`{format: NFTables, value: 1}`, `[]`, "error: line 1, column 1: must be an object, and is a list\n"},

		"page":         {`{format: Lines, value: 1}`, "\n <!DOCTYPE html>\n<p>\n", "error: is a web page (it begins with \"<!doctype html>\"), not a list of entries\n"},
		"page as csv":  {`{format: CSV, value: 1}`, "<html>\n", "error: is a web page (it begins with \"<html>\"), not a list of entries\n"},
		"page as json": {`{format: JSON, value: 1}`, "<html>\n", "error: is a web page (it begins with \"<html>\"), not a list of entries\n"},
	} {
		if diff := cmp.Diff(c.want, readTolerant(c.text, options(t, c.declared))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestWordsAreNotLinesOfHosts(t *testing.T) {
	o := source.Options{Format: v1alpha1.SourceLines, Value: []byte("1"), Words: true}
	want := "1: \"ads.example.com\" = 1\n3: \"two words\" = 1\nerror: line 4: is a line of a hosts file, an address and names: use format: Hosts, whose keys are the names\n"
	if got := read("ads.example.com\n\ntwo words\n0.0.0.0 ads.example.com\n", o); got != want {
		t.Error(got)
	}
}

func TestMappingsThatAreWrong(t *testing.T) {
	fields := func(field string) ([]expression.Type, error) {
		switch field {
		case "":
			return []expression.Type{expression.Map}, nil
		case "port":
			return []expression.Type{expression.Int}, nil
		}
		return nil, fmt.Errorf("unknown field %s", field)
	}
	for declared, want := range map[string]string{
		`{format: JSON, mapping: {items: "a..b"}}`:                                      `.mapping.items: "a..b": a name is missing before ".b" (other names than those of letters, digits, '_' and '-' are written ["name"])`,
		`{format: JSON, mapping: {items: ".a"}}`:                                        `.mapping.items: ".a" begins with a dot`,
		`{format: JSON, mapping: {items: "a[x]"}}`:                                      `.mapping.items: "a[x]": [x] must be [] for all elements, the number of an element from 0, or a name in quotes`,
		`{format: JSON, mapping: {items: "a["}}`:                                        `.mapping.items: "a[": a bracket isn't closed`,
		`{format: JSON, mapping: {items: "a[]b"}}`:                                      `.mapping.items: "a[]b": a dot or a bracket is missing before "b"`,
		`{format: CSV, mapping: {items: "a[]"}}`:                                        `.mapping.items: is for the formats JSON and YAML: the items of CSV are where the format has them`,
		`{format: JSON, mapping: {filter: "item.a +"}}`:                                 `.mapping.filter: is not valid CEL: `,
		`{format: JSON, mapping: {filter: "size(item)"}}`:                               `.mapping.filter: makes a int, but bool is needed`,
		`{format: JSON, mapping: {key: {}}}`:                                            `.mapping.key: exactly one of path, expression and fields is needed`,
		`{format: JSON, mapping: {key: {path: a, expression: b}}}`:                      `.mapping.key: exactly one of path, expression and fields is needed`,
		`{format: JSON, mapping: {value: {path: "a[]"}}}`:                               `.mapping.value.path: "a[]" leads to several values: only a key as a whole can be several`,
		`{format: JSON, mapping: {value: {expression: "true"}}}`:                        `.mapping.value.expression: makes a bool, but map is needed`,
		`{format: JSON, mapping: {value: {fields: {prot: {path: a}}}}}`:                 `.mapping.value.fields[prot]: unknown field prot`,
		`{format: JSON, mapping: {value: {fields: {port: {}}}}}`:                        `.mapping.value.fields[port]: exactly one of path and expression is needed`,
		`{format: JSON, mapping: {value: {fields: {port: {expression: "1.5 > 1.0"}}}}}`: `.mapping.value.fields[port].expression: makes a bool, but int is needed`,
		`{format: CSV, text: {columns: [a, b]}, mapping: {key: {path: c}}}`:             `.mapping.key: the source has no column "c": it is "a,b"`,
		`{format: Hosts, mapping: {filter: item.ip == "0.0.0.0"}}`:                      `.mapping: an expression needs item.ip, and the columns are address, name`,
		`{format: JSON, mapping: {value: {expression: "1/0"}}}`:                         `.mapping.value.expression: makes a int, but map is needed`,
		`{format: JSON, mapping: {value: {fields: {port: {expression: "1/0"}}}}}`:       `.mapping.value.fields[port].expression: `,
		`{format: JSON, mapping: {items: "` + strings.Repeat("a.", 40) + `a"}}`:         `has more than 32 steps`,
		`{format: CSV, mapping: {value: {fields: {port: {expression: "item.a.b"}}}}}`:   `.mapping.value.fields[port].expression: is not valid CEL: `,
		`{format: JSON, mapping: {expires: {expression: "[1]"}}}`:                       `.mapping.expires.expression: makes a list(int), but one of `,
	} {
		var from v1alpha1.EntrySource
		if err := yaml.UnmarshalStrict([]byte(declared), &from); err != nil {
			t.Fatal(err)
		}
		_, problems := source.NewMapping(&from, fields, fields)
		if len(problems) == 0 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("%s: %v\nwant %s", declared, problems, want)
		}
	}
}

// TestDocumentsAreNotInMemory reads a long document whose items are behind much that isn't on the way.
func TestDocumentsAreNotInMemory(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"other": [`)
	for i := range 60_000 {
		fmt.Fprintf(&b, `{"name": "x%d", "list": [1, 2, 3]},`, i)
	}
	b.WriteString(`0], "items": [`)
	for i := range 60_000 {
		fmt.Fprintf(&b, `{"net": "10.%d.%d.%d", "tags": ["a", "b"]},`, i>>16, i>>8&255, i&255)
	}
	b.WriteString(`{"net": "x"}]}`)
	data := []byte(b.String())
	o := options(t, `{format: JSON, value: 1, mapping: {items: "items[]", key: {path: net}}}`)
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, most := 0, uint64(0)
	err := source.Read(data, o, func(source.Entry) error {
		if n++; n%10_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&during)
			most = max(most, during.HeapAlloc)
		}
		return nil
	})
	if err != nil || n != 60_001 {
		t.Fatalf("%d items, %v", n, err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d MiB for a document of %d MiB", grown>>20, len(data)>>20)
	}
}

func TestDeepDocuments(t *testing.T) {
	o := options(t, `{format: JSON, value: 1, mapping: {items: "a[]"}}`)
	if got := read(`{"b": `+strings.Repeat("[", 10_000), o); !strings.Contains(got, "is nested deeper than 256 levels") {
		t.Error(got)
	}
}
