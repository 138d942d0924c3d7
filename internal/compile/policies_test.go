// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// policyTrie is a BPFMap of IPv4 prefixes with the rest of a spec.
func policyTrie(t *testing.T, more string) *v1alpha1.BPFMap {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	text := "metadata: {namespace: edge, name: blocklist}\nspec:\n  type: LPMTrie\n  key: {type: ipv4Prefix}\n  value: {type: u32}\n  maxEntries: 100\n" + more
	if err := yaml.UnmarshalStrict([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// fromLines is entriesFrom of elements of the format Lines with more of each, all of ConfigMaps a, b, …
func fromLines(elements ...string) string {
	var b strings.Builder
	b.WriteString("  entriesFrom:\n")
	for i, more := range elements {
		fmt.Fprintf(&b, "  - {configMapRef: {name: %c, key: list}, format: Lines, value: 1%s}\n", 'a'+i, more)
	}
	return b.String()
}

// sourcesOf are data of ConfigMaps a, b, …, with their text as version.
func sourcesOf(data ...string) (list []compile.Source) {
	for i, text := range data {
		list = append(list, compile.Source{
			Index: i, Name: fmt.Sprintf("ConfigMap %c, key list", 'a'+i), Version: text, Load: func() ([]byte, error) { return []byte(text), nil },
		})
	}
	return list
}

// told are a result's entries, and what it says of its sources.
func told(t *testing.T, r *compile.Result) string {
	t.Helper()
	var b strings.Builder
	if rev := r.Revision; rev != nil {
		key, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
		for i := range rev.Contents.InOrder(rev.Shape) {
			fmt.Fprintf(&b, "%s=%s ", key.Format(rev.Contents.Key(i)), value.Format(rev.Contents.Value(i)))
		}
	}
	for _, s := range r.Sources {
		fmt.Fprintf(&b, "| %d entries", s.Entries)
		for _, l := range s.LeftOut {
			fmt.Fprintf(&b, ", %d %s %q", l.Count, l.Reason, l.Examples)
		}
		if !s.NextChange.IsZero() {
			fmt.Fprintf(&b, ", next %s", s.NextChange.Format(time.RFC3339))
		}
		b.WriteString(" ")
	}
	return strings.TrimSpace(b.String())
}

// TestPolicies compiles sources twice, the second time from the cache: the result is the same.
func TestPolicies(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	expiring := "  entriesFrom: [{configMapRef: {name: a, key: list}, format: JSON}]\n"
	for name, c := range map[string]struct {
		more    string
		data    []string
		want    string
		problem string
	}{
		"repetitions": {
			fromLines("", ""), []string{"10.0.0.0/8\n192.0.2.0/24\n10.0.0.0/8\n", "192.0.2.0/24\n198.51.100.0/24\n"},
			`10.0.0.0/8=1 192.0.2.0/24=1 198.51.100.0/24=1 | 2 entries, 1 Repeated ["line 3: 10.0.0.0/8"] | 2 entries, 1 Repeated ["line 1: 192.0.2.0/24"]`, "",
		},
		"repetition of the spec": {
			"  entries: [{key: 10.0.0.0/8, value: 1}]\n" + fromLines(""), []string{"10.0.0.0/8\n"},
			`10.0.0.0/8=1 | 1 entries, 1 Repeated ["line 1: 10.0.0.0/8"]`, "",
		},
		"conflict": {
			"  entries: [{key: 10.0.0.0/8, value: 2}]\n" + fromLines(""), []string{"10.0.0.0/8\n"}, "",
			"spec.entriesFrom[0] (ConfigMap a, key list) line 1: is the same key as entries[0]: 10.0.0.0/8, with another value",
		},
		"overridden": {
			"  conflictPolicy: Last\n  entries: [{key: 10.0.0.0/8, value: 2}]\n  entriesFrom: [{configMapRef: {name: a, key: list}, format: CSV}]\n",
			[]string{"key,value\n10.0.0.0/8,3\n10.0.0.0/8,4\n"},
			`10.0.0.0/8=4 | 2 entries`, "",
		},
		"tolerated": {
			fromLines(", limits: {maxInvalid: 2}"), []string{"10.0.0.0/8\n102.204..15\n95.32.221.040/32\n"},
			`10.0.0.0/8=1 | 1 entries, 2 Invalid ["line 2 key: \"102.204..15\" is not a valid IPv4 prefix (such as 192.0.2.0/24)" "line 3 key: \"95.32.221.040/32\" is not a valid IPv4 prefix (such as 192.0.2.0/24)"]`, "",
		},
		"not tolerated": {
			fromLines(", limits: {maxInvalid: 1}"), []string{"10.0.0.0/8\nx\ny\n"}, "",
			"2 of 3 items are invalid, more than the 1 that limits.maxInvalid (1) allows",
		},
		"tolerated by percent": {
			fromLines(`, limits: {maxInvalid: "34%"}`), []string{"10.0.0.0/8\n192.0.2.0/24\nx\n"},
			`10.0.0.0/8=1 192.0.2.0/24=1 | 2 entries, 1 Invalid ["line 3 key: \"x\" is not a valid IPv4 prefix (such as 192.0.2.0/24)"]`, "",
		},
		"not tolerated by percent": {
			fromLines(`, limits: {maxInvalid: "33%"}`), []string{"x\n192.0.2.0/24\n"}, "",
			"1 of 2 items are invalid, more than the 0 that limits.maxInvalid (33%) allows",
		},
		"all tolerated": {
			fromLines(`, limits: {maxInvalid: "100%"}`), []string{"x\ny\n"}, "",
			"holds no entries (left out: 2 Invalid): that is refused unless spec.allowEmptySources is true",
		},
		"no number":     {fromLines(`, limits: {maxInvalid: some}`), []string{"10.0.0.0/8\n"}, "", `spec.entriesFrom[0].limits.maxInvalid: "some" is not a number`},
		"too few":       {fromLines(`, limits: {minEntries: 2}`), []string{"10.0.0.0/8\n10.0.0.0/8\n"}, "", "makes 1 entry, fewer than limits.minEntries 2"},
		"enough":        {fromLines(`, limits: {minEntries: 2}`), []string{"10.0.0.0/8\n11.0.0.0/8\n"}, `10.0.0.0/8=1 11.0.0.0/8=1 | 2 entries`, ""},
		"no percentage": {fromLines(`, limits: {maxChange: "10"}`), []string{"10.0.0.0/8\n"}, "", `spec.entriesFrom[0].limits.maxChange: "10" is not a percentage`},
		"aggregated": {
			fromLines(", aggregate: true"), []string{"10.0.0.0/9\n10.128.0.0/9\n10.1.0.0/16\n192.0.2.1/32\n"},
			`10.0.0.0/8=1 192.0.2.1/32=1 | 2 entries, 2 Aggregated []`, "",
		},
		"aggregated beside others": {
			"  entries: [{key: 10.1.0.0/16, value: 2}]\n" + fromLines(", aggregate: true", ""),
			[]string{"10.0.0.0/8\n10.1.2.0/24\n10.3.0.0/24\n", "10.9.0.0/24\n"},
			`10.0.0.0/8=1 10.1.0.0/16=2 10.1.2.0/24=1 10.9.0.0/24=1 | 2 entries, 1 Aggregated [] | 1 entries`, "",
		},
		"aggregated, as good as it was": {fromLines(", aggregate: true"), []string{"10.0.0.0/9\n192.0.2.0/24\n"}, `10.0.0.0/9=1 192.0.2.0/24=1 | 2 entries`, ""},
		"expired": {
			expiring, []string{`[{"key": "10.0.0.0/8", "value": 1, "expires": "2026-01-01T12:00:00Z"}, {"key": "11.0.0.0/8", "value": 1, "expires": 1767272400.5},
{"key": "12.0.0.0/8", "value": 1, "expires": null}, {"key": "13.0.0.0/8", "value": 1, "expires": "2026-01-01T15:00:00+01:00"}]`},
			`11.0.0.0/8=1 12.0.0.0/8=1 13.0.0.0/8=1 | 3 entries, 1 Expired ["line 1"], next 2026-01-01T13:00:01Z`, "",
		},
		"the later one of two": {
			expiring, []string{`[{"key": "10.0.0.0/8", "value": 1, "expires": "2026-01-01T13:00:00Z"}, {"key": "10.0.0.0/8", "value": 1, "expires": "2026-01-01T14:00:00Z"}]`},
			`10.0.0.0/8=1 | 1 entries, 1 Repeated ["line 1: 10.0.0.0/8"], next 2026-01-01T14:00:00Z`, "",
		},
		"all expired":  {expiring, []string{`[{"key": "10.0.0.0/8", "value": 1, "expires": 1}]`}, `| 0 entries, 1 Expired ["line 1"]`, ""},
		"no time":      {expiring, []string{`[{"key": "10.0.0.0/8", "value": 1, "expires": "soon"}]`}, "", `line 1 expires: "soon" is not a time such as 2026-12-31T23:59:59Z`},
		"milliseconds": {expiring, []string{`[{"key": "10.0.0.0/8", "value": 1, "expires": 1767272400000}]`}, "", "are these milliseconds?"},
	} {
		t.Run(name, func(t *testing.T) {
			cache := compile.NewCache()
			for range 2 {
				r, err := compile.Run(policyTrie(t, c.more), compile.Input{Sources: sourcesOf(c.data...), Cache: cache, Now: noon})
				switch {
				case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
					t.Errorf("%v, want %s", err, c.problem)
				case c.problem == "" && err != nil:
					t.Error(err)
				case c.problem == "" && told(t, r) != c.want:
					t.Errorf("\n%s, want\n%s", told(t, r), c.want)
				}
			}
		})
	}
}

// TestAggregateNeedsAddresses: other keys can't be merged.
func TestAggregateNeedsAddresses(t *testing.T) {
	for _, spec := range []string{
		"type: Hash\nkey: {type: ipv4}\n", "type: LPMTrie\nkey: {type: string, size: 8, prefix: true}\n", "type: LPMTrie\nkey: {type: hex, size: 8}\n",
	} {
		m, sources := specOf(t, spec+"value: {type: u32}\nmaxEntries: 4\n"+from("Lines", ", value: 1, aggregate: true"), []byte("x\n"))
		if _, err := compile.With(m, sources, nil); err == nil || !strings.Contains(err.Error(), "spec.entriesFrom[0].aggregate: needs type LPMTrie") {
			t.Errorf("%s: %v", spec, err)
		}
	}
	m, sources := specOf(t, "type: LPMTrie\nkey: {fields: [{name: port, type: be16}, {name: pad, type: u16, default: 0}, {name: addr, type: ipv4, prefix: true}]}\nvalue: {type: u32}\nmaxEntries: 4\n"+
		from("CSV", ", value: 1, aggregate: true"), []byte("key.port,key.addr\n2,0.0.0.0/1\n2,128.0.0.0/1\n3,0.0.0.0/0\n"))
	r, err := compile.Run(m, compile.Input{Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := told(t, r), "{port: 2, pad: 0, addr: 0.0.0.0/0}=1 {port: 3, pad: 0, addr: 0.0.0.0/0}=1 | 2 entries, 1 Aggregated []"; got != want {
		t.Errorf("%s, want %s: fields in front of the address stay", got, want)
	}
}

// inUse is what a result left in a map.
func inUse(r *compile.Result) *compile.InUse {
	var list []v1alpha1.SourceStatus
	for _, s := range r.Sources {
		list = append(list, v1alpha1.SourceStatus{Index: int32(s.Index), Name: s.Name, Digest: s.Digest, Entries: s.Entries, LeftOut: s.LeftOut})
	}
	return &compile.InUse{Sources: list, Contents: func() (*revision.Revision, error) { return r.Revision, nil }}
}

// networks are n prefixes from number first on.
func networks(first, n int) string {
	var b strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&b, "10.%d.0.0/16\n", i)
	}
	return b.String()
}

func TestMaxChange(t *testing.T) {
	spec := fromLines(`, limits: {maxChange: "20%"}`, "")
	first, err := compile.Run(policyTrie(t, spec), compile.Input{Sources: sourcesOf(networks(0, 20), "192.0.2.0/24\n"), InUse: &compile.InUse{}})
	if err != nil {
		t.Fatalf("the first contents: %v", err)
	}
	for name, c := range map[string]struct {
		more string
		data []string
		want string
	}{
		"nothing":                {spec, []string{networks(0, 20), "192.0.2.0/24\n"}, ""},
		"in another order":       {spec, []string{networks(10, 10) + networks(0, 10), "192.0.2.0/24\n"}, ""},
		"cut":                    {spec, []string{networks(0, 10), "192.0.2.0/24\n"}, "spec.entriesFrom[0] (ConfigMap a, key list): adds 0, removes 10 and changes 0 of 20 entries, more than limits.maxChange 20% allows"},
		"cut a little":           {spec, []string{networks(0, 16), "192.0.2.0/24\n"}, ""},
		"moved":                  {spec, []string{networks(3, 20), "192.0.2.0/24\n"}, "adds 3, removes 3 and changes 0"},
		"grown":                  {spec, []string{networks(0, 25), "192.0.2.0/24\n"}, "adds 5, removes 0 and changes 0"},
		"another value":          {strings.ReplaceAll(spec, "value: 1", "value: 2"), []string{networks(0, 20), "192.0.2.0/24\n"}, ""},
		"another value and text": {strings.ReplaceAll(spec, "value: 1", "value: 2"), []string{"#\n" + networks(0, 20), "192.0.2.0/24\n"}, "changes 20 of 20"},
		"the other source":       {spec, []string{networks(0, 20), networks(100, 50)}, ""},
		"both":                   {spec, []string{networks(0, 19), networks(100, 50)}, ""},
	} {
		r, err := compile.Run(policyTrie(t, c.more), compile.Input{Sources: sourcesOf(c.data...), InUse: inUse(first)})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		case c.want != "" && (r.Sources[0].Problem == "" || r.Sources[1].Problem != ""):
			t.Errorf("%s: the reports are %+v", name, r.Sources)
		}
	}
	// What people let through is let through.
	m := policyTrie(t, spec)
	sources := sourcesOf(networks(0, 5), "192.0.2.0/24\n")
	r, err := compile.Run(m, compile.Input{Sources: sources, InUse: inUse(first)})
	if err == nil || !strings.Contains(err.Error(), r.Sources[0].Digest) {
		t.Fatalf("%v doesn't name the digest", err)
	}
	m.Annotations = map[string]string{v1alpha1.AnnotationAllowChange: "sha256:0, " + r.Sources[0].Digest}
	if _, err := compile.Run(m, compile.Input{Sources: sources, InUse: inUse(first)}); err != nil {
		t.Error(err)
	}
	// A name that kustomize generated anew is the same source; another one isn't.
	for name, isSame := range map[string]bool{"ConfigMap a-5g7ht2k9mb, key list": true, "ConfigMap c, key list": false} {
		was := inUse(first)
		was.Sources[0].Name = name
		if _, err := compile.Run(policyTrie(t, spec), compile.Input{Sources: sources, InUse: was}); (err != nil) != isSame {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExpiryFromTheCache: entries of a source that is read once go when their time comes.
func TestExpiryFromTheCache(t *testing.T) {
	loads, cache := 0, compile.NewCache()
	text := `[{"key": "10.0.0.0/8", "value": 1, "expires": 100}, {"key": "11.0.0.0/8", "value": 1, "expires": 200}, {"key": "12.0.0.0/8", "value": 1}]`
	sources := []compile.Source{{Name: "ConfigMap a, key list", Version: "1", Load: func() ([]byte, error) { loads++; return []byte(text), nil }}}
	m := policyTrie(t, "  entriesFrom: [{configMapRef: {name: a, key: list}, format: JSON}]\n")
	for _, c := range []struct {
		now  int64
		want string
	}{
		{99, "10.0.0.0/8=1 11.0.0.0/8=1 12.0.0.0/8=1 | 3 entries, next 1970-01-01T00:01:40Z"},
		{100, "11.0.0.0/8=1 12.0.0.0/8=1 | 2 entries, 1 Expired [], next 1970-01-01T00:03:20Z"},
		{1000, "12.0.0.0/8=1 | 1 entries, 2 Expired []"},
	} {
		r, err := compile.Run(m, compile.Input{Sources: sources, Cache: cache, Now: time.Unix(c.now, 0)})
		if err != nil {
			t.Fatal(err)
		}
		if got := told(t, r); got != c.want {
			t.Errorf("at %d: %s, want %s", c.now, got, c.want)
		}
	}
	if loads != 1 {
		t.Errorf("the source was read %d times", loads)
	}
}

// TestSecretsAreNotShown breaks texts of Secrets in all ways: nothing that is told has a word of them.
func TestSecretsAreNotShown(t *testing.T) {
	const canary = "canary"
	keys := []string{"type: Hash\nkey: {type: ipv4}\n", "type: Hash\nkey: {fields: [{name: a, type: u32}, {name: s, type: string, size: 8}]}\n", "type: Hash\nkey: {type: ifindex}\n", "type: Array\n"}
	texts := []string{
		canary, canary + "," + canary, "key,value\n" + canary + ",1\n", "key," + canary + "\n1,2\n", "key,value\n1,\"" + canary, canary + ",value\n1,2\n",
		`[{"key": "` + canary + `", "value": 1}]`, `[{"` + canary + `": 1}]`, `{"key": {"` + canary + `": 1}, "value": 1}`, `[{"key": 1, "value": "` + canary + `"}]`,
		`{"key": {"a": "` + canary + `", "s": ""}, "value": 1}`, `[` + canary, `{"key": 1, "value": 1, "expires": "` + canary + `"}`,
		"- key: " + canary + "\n  value: 1\n", "- " + canary + ": 1\n", "- {key: {" + canary + ": 1}, value: 1}\n", canary + ":\n\t- x\n", "- &" + canary + " x\n- *" + canary + "\n",
		"- {key: 1, value: 1, expires: " + canary + "}\n", "- {key: 1, value: " + canary + "}\n", "- {key: {a: 1, s: " + canary + canary + "}, value: 1}\n",
		"key,value\n" + canary + ",1\n" + canary + ",2\n", "- {key: {a: 1, s: " + canary + "}, value: 1}\n- {key: {a: 1, s: " + canary + "}, value: 2}\n",
		"key.a,key.s,value\n1," + canary + ",1\n1," + canary + ",2\n",
	}
	n := 0
	for _, key := range keys {
		for _, format := range []string{"Lines", "CSV", "JSON", "YAML"} {
			for _, text := range texts {
				for _, limit := range []string{"", ", limits: {maxInvalid: 100}"} {
					value := ""
					if format == "Lines" {
						value = ", value: 1"
					}
					spec := key + "value: {type: u32}\nmaxEntries: 10\nentriesFrom: [{secretRef: {name: s, key: k}, format: " + format + value + limit + "}]"
					m, sources := specOf(t, spec, []byte(text))
					r, err := compile.Run(m, compile.Input{Sources: sources})
					told := fmt.Sprintf("%v %+v", err, r.Sources)
					if strings.Contains(told, canary) {
						t.Errorf("%s of %s%s tell the Secret's text: %s", format, key, limit, told)
					}
					if err != nil {
						n++
					}
				}
			}
		}
	}
	if n < 200 {
		t.Errorf("only %d texts are refused: the test tells nothing", n)
	}
}
