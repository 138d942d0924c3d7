// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package expression_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
)

// eval is the JSON that an expression makes of an item, or what is wrong.
func eval(text, item string) string {
	var of any
	if err := json.Unmarshal([]byte(item), &of); err != nil {
		return err.Error()
	}
	p, err := expression.Compile(text, expression.Documents)
	if err != nil {
		return "compile: " + err.Error()
	}
	v, err := p.Eval(of, expression.NewBudget())
	if err != nil {
		return "error: " + err.Error()
	}
	b, err := expression.AppendJSON(nil, v)
	if err != nil {
		return "result: " + err.Error()
	}
	return string(b)
}

func TestEval(t *testing.T) {
	const item = `{"net": "192.0.2.0/24", "asn": 64500, "tags": ["a", "b"], "score": 0.5, "on": true, "none": null, "in": {"x": "Y z "}}`
	for _, c := range []struct{ text, want string }{
		{`item.net`, `"192.0.2.0/24"`},
		{`item.asn`, `64500`},
		{`item.asn == 64500 && item.score < 1`, `true`},
		{`item.score`, `0.5`},
		{`item.tags`, `["a","b"]`},
		{`{"addr": item.net, "port": 53u}.addr`, `"192.0.2.0/24"`},
		{`item.?country.orValue("ZZ")`, `"ZZ"`},
		{`item.?country`, "result: makes no value"},
		{`item.none`, "result: makes no value"},
		{`has(item.asn) ? item.asn : 0`, `64500`},
		{`item.net.split("/")[0] + "-" + item.net.split("/")[0]`, `"192.0.2.0-192.0.2.0"`},
		{`item["in"].x.trim().lowerAscii()`, `"y z"`},
		{`item["in"].x.upperAscii().replace(" ", "")`, `"YZ"`},
		{`item.tags.join(".")`, `"a.b"`},
		{`item.net.substring(0, 3) + string(item.net.indexOf("/"))`, `"1929"`},
		{`item.net.substring(99)`, "error: substring(99, 12) is out of the bounds of a text of 12 bytes"},
		{`cidr(item.net).prefixLength()`, `24`},
		{`cidr(item.net).masked()`, `"192.0.2.0/24"`},
		{`ip("2001:db8::1").family()`, `6`},
		{`isCIDR(item.net)`, `true`},
		{`timestamp("2030-01-01T00:00:00Z") + duration("1h")`, `"2030-01-01T01:00:00Z"`},
		{`duration("90s")`, `"1m30s"`},
		{`b"ab"`, `"YWI="`},
		{`item.missing`, "error: no such key: missing"},
		{`item.net + 1`, "error: no such overload"},
		{`itm.net`, "compile: is not valid CEL: column 1: undeclared reference to 'itm' (in container '')"},
		{`item.net ==`, "compile: is not valid CEL: column 12: Syntax error: "},
	} {
		if got := eval(c.text, item); got != c.want && (!strings.HasSuffix(c.want, ": ") || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

func TestTypesAreCheckedBeforeAnyItem(t *testing.T) {
	for _, c := range []struct {
		text   string
		items  expression.Items
		wanted []expression.Type
		want   string
	}{
		{`item.cidr`, expression.Documents, []expression.Type{expression.String}, ""},
		{`item.cidr`, expression.Records, []expression.Type{expression.String}, ""},
		{`item.?cidr`, expression.Records, []expression.Type{expression.String}, ""},
		{`item.cidr`, expression.Records, []expression.Type{expression.Bool}, "makes a string, but bool is needed"},
		{`size(item)`, expression.Documents, []expression.Type{expression.String, expression.List}, "makes a int, but one of string, list is needed"},
		{`item.port > 5`, expression.Records, nil, "is not valid CEL: column 11: found no matching overload for '_>_' applied to '(string, int)'"},
		{`null`, expression.Records, []expression.Type{expression.Bool}, "makes a null_type, but bool is needed"},
		{`cidr("::/0")`, expression.Records, []expression.Type{expression.Address}, ""},
		{strings.Repeat("1+", 2048) + "1", expression.Records, nil, "has 4097 characters, at most 4096 are possible"},
	} {
		_, err := expression.Compile(c.text, c.items, c.wanted...)
		if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}

// TestNothingGrowsWithoutBound has expressions that would take minutes or gigabytes if only calls were counted.
func TestNothingGrowsWithoutBound(t *testing.T) {
	long, _ := json.Marshal(strings.Repeat("ab", 30_000))
	item := fmt.Sprintf(`{"x": "x", "l": ["x"], "many": [%s1], "long": %s}`, strings.Repeat("1,", 20_000), long)
	double := func(n int, step string) string { return strings.Repeat(step, n) }
	for name, text := range map[string]string{
		"texts":           `[item.x]` + double(7, `.map(a, a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a)`),
		"lists":           `[item.l]` + double(7, `.map(a, a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a)`),
		"lists in lists":  `[item.l]` + double(7, `.map(a, [a,a,a,a,a,a,a,a,a,a,a])`) + " == []",
		"objects":         `[item.l]` + double(3, `.map(a, {"a": a, "b": a})`),
		"many macros":     `[item.l]` + double(9, `.map(a, a)`),
		"loops in loops":  `item.many.all(a, item.many.all(b, a == b))`,
		"equal documents": `item.many.all(a, item == item)`,
		"replace":         fmt.Sprintf(`item.long.replace("a", "%s")`, strings.Repeat("z", 1000)),
		"join":            fmt.Sprintf(`item.many.map(m, item.long).join("%s")`, strings.Repeat("z", 1000)),
		"split":           `item.long.split("").size() == 0`,
		"regex":           `item.many.all(m, !item.long.matches("(a*b*)*c"))`,
	} {
		if got := eval(text, item); !strings.HasPrefix(got, "error: ") && !strings.HasPrefix(got, "compile: ") {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}

func TestBudgetOfAllItems(t *testing.T) {
	p, err := expression.Compile(`item.x.all(a, a != "")`, expression.Documents)
	if err != nil {
		t.Fatal(err)
	}
	item := map[string]any{"x": slices.Repeat([]any{"x"}, 100)}
	b := expression.SmallBudget(5000)
	items := 0
	for ; err == nil && items < 100; items++ {
		_, err = p.Eval(item, b)
	}
	if !errors.Is(err, expression.ErrBudget) || items < 2 || items > 50 {
		t.Errorf("after %d items: %v", items, err)
	}
}

func TestUses(t *testing.T) {
	for text, want := range map[string]string{
		`item.a + item["b"]`:                        "[a b] false",
		`has(item.a) ? item.a : item.b`:             "[b] false",
		`"a" in item ? item.a : ""`:                 "[] false",
		`item.?a.orValue("")`:                       "[] false",
		`"443"`:                                     "[] true",
		`item.exists(k, k == "a") && item.b == "c"`: "[b] false",
	} {
		p, err := expression.Compile(text, expression.Records)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := fmt.Sprint(p.Members, p.Constant); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// FuzzEval evaluates any expression over any item: it ends, and what it makes is JSON within the bound.
func FuzzEval(f *testing.F) {
	f.Add(`item.a.map(x, x + 1)`, `{"a": [1, 2]}`)
	f.Add(`item.split(",").join("-")`, `"a,b"`)
	f.Add(`cidr(item).ip()`, `"192.0.2.0/24"`)
	f.Add(`{"k": item, "l": [item, 1.5, true, null]}`, `"x"`)
	f.Fuzz(func(t *testing.T, text, item string) {
		var of any
		if json.Unmarshal([]byte(item), &of) != nil {
			return
		}
		p, err := expression.Compile(text, expression.Documents)
		if err != nil {
			return
		}
		v, err := p.Eval(of, expression.NewBudget())
		if err != nil {
			return
		}
		b, err := expression.AppendJSON(nil, v)
		if err == nil && (!json.Valid(b) || len(b) > 2*expression.MaxResultBytes) {
			t.Errorf("%q of %q makes %q", text, item, b)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	p, err := expression.Compile(`item.service == "EC2" && item.region.startsWith("eu-")`, expression.Documents)
	if err != nil {
		b.Fatal(err)
	}
	item := map[string]any{"service": "EC2", "region": "eu-west-1", "ip_prefix": "192.0.2.0/24"}
	budget := expression.NewBudget()
	for b.Loop() {
		if is, err := p.IsTrue(item, budget); !is || err != nil {
			budget = expression.NewBudget()
		}
	}
}
