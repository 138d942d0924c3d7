// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/sighting"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

// life plays what becomes of a map as time goes on: each step has a time, texts of ConfigMaps a, b, …, and maybe another
// spec. What is refused isn't seen, as in the controller.
type life struct {
	spec  string
	seen  sighting.Table
	last  *compile.Result
	cache *compile.Cache
	out   strings.Builder
}

func (l *life) at(t *testing.T, clock string, data ...string) {
	t.Helper()
	now, err := time.Parse(time.TimeOnly, clock)
	if err != nil {
		t.Fatal(err)
	}
	m := policyTrie(t, l.spec)
	m.UID = "uid-1"
	in := compile.Input{Sources: sourcesOf(data...), Cache: l.cache, Now: now.AddDate(2026, 0, 0), Sightings: l.seen}
	if l.last != nil {
		in.InUse = inUse(l.last)
	}
	fmt.Fprintf(&l.out, "%s %q\n", clock, data)
	r, err := compile.Run(m, in)
	if err != nil {
		fmt.Fprintf(&l.out, "  refused: %v\n", err)
		return
	}
	l.seen, l.last = r.Sightings, r
	fmt.Fprintf(&l.out, "  %s\n ", strings.ReplaceAll(told(t, r), "2026-01-01T", ""))
	for _, s := range r.Sightings {
		when := "over"
		if s.Time != sighting.Over {
			when = time.Unix(int64(s.Time), 0).UTC().Format(time.TimeOnly)
		}
		fmt.Fprintf(&l.out, " %04x…:%s", s.Key>>48, when)
	}
	l.out.WriteString("\n")
}

// TestLifetimes compares histories with their golden texts: entries, what is left out and when the next one ends, and
// what is remembered.
func TestLifetimes(t *testing.T) {
	hour := ", expireAfter: 1h"
	for name, play := range map[string]func(l *life){
		"a lifetime": func(l *life) {
			l.spec = fromLines(hour)
			l.at(t, "12:00:00", "10.0.0.0/8\n")
			l.at(t, "12:30:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "12:59:59", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "13:00:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "13:29:00", "11.0.0.0/8\n10.0.0.0/8\n")
			l.at(t, "13:30:01", "11.0.0.0/8\n10.0.0.0/8\n")
		},
		"gone and back": func(l *life) {
			l.spec = fromLines(hour)
			l.at(t, "12:00:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "13:00:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "13:10:00", "11.0.0.0/8\n12.0.0.0/8\n")
			l.at(t, "13:20:00", "10.0.0.0/8\n11.0.0.0/8\n12.0.0.0/8\n")
		},
		"another value": func(l *life) {
			l.spec = "  entriesFrom: [{configMapRef: {name: a, key: list}, format: CSV, expireAfter: 1h}]\n"
			l.at(t, "12:00:00", "key,value\n10.0.0.0/8,1\n")
			l.at(t, "12:30:00", "key,value\n10.0.0.0/8,2\n")
			l.at(t, "13:00:00", "key,value\n10.0.0.0/8,3\n")
		},
		"an end of its own": func(l *life) {
			l.spec = "  entriesFrom: [{configMapRef: {name: a, key: list}, format: CSV, expireAfter: 1h}]\n"
			l.at(t, "12:00:00", "key,value,expires\n10.0.0.0/8,1,2026-01-01T12:30:00Z\n11.0.0.0/8,1,2026-01-01T14:00:00Z\n12.0.0.0/8,1,\n")
			l.at(t, "12:45:00", "key,value,expires\n10.0.0.0/8,1,2026-01-01T12:30:00Z\n11.0.0.0/8,1,2026-01-01T14:00:00Z\n12.0.0.0/8,1,\n")
			l.at(t, "13:00:00", "key,value,expires\n10.0.0.0/8,1,2026-01-01T13:30:00Z\n11.0.0.0/8,1,2026-01-01T14:00:00Z\n12.0.0.0/8,1,\n")
		},
		"what is refused isn't seen": func(l *life) {
			l.spec = fromLines(hour)
			l.at(t, "12:00:00", "10.0.0.0/8\n")
			l.at(t, "12:30:00", "11.0.0.0/8\nbad\n")
			l.at(t, "12:40:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "13:00:00", "")
			l.at(t, "13:05:00", "10.0.0.0/8\n11.0.0.0/8\n")
		},
		"two sources with equal keys": func(l *life) {
			l.spec = fromLines(hour, ", expireAfter: 2h", "")
			l.at(t, "12:00:00", "10.0.0.0/8\n11.0.0.0/8\n", "10.0.0.0/8\n", "12.0.0.0/8\n")
			l.at(t, "13:00:00", "10.0.0.0/8\n11.0.0.0/8\n", "10.0.0.0/8\n", "12.0.0.0/8\n")
			l.at(t, "14:00:00", "10.0.0.0/8\n11.0.0.0/8\n", "10.0.0.0/8\n", "12.0.0.0/8\n")
			l.at(t, "14:01:00", "10.0.0.0/8\n11.0.0.0/8\n", "11.0.0.0/8\n", "12.0.0.0/8\n")
		},
		"one source twice": func(l *life) {
			l.spec = strings.ReplaceAll(fromLines(hour, ", expireAfter: 2h"), "name: b", "name: a")
			l.at(t, "12:00:00", "10.0.0.0/8\n", "10.0.0.0/8\n")
			l.at(t, "13:00:00", "10.0.0.0/8\n", "10.0.0.0/8\n")
		},
		"other elements before it": func(l *life) {
			l.spec = fromLines(hour)
			l.at(t, "12:00:00", "10.0.0.0/8\n")
			l.spec = "  entriesFrom:\n  - {configMapRef: {name: z, key: list}, format: Lines, value: 1}\n  - {configMapRef: {name: a-5g7ht2k9mb, key: list}, format: Lines, value: 1, expireAfter: 1h}\n"
			m := policyTrie(t, l.spec)
			m.UID = "uid-1"
			sources := sourcesOf("11.0.0.0/8\n", "10.0.0.0/8\n")
			sources[0].Name, sources[1].Name = "ConfigMap z, key list", "ConfigMap a-5g7ht2k9mb, key list"
			r, err := compile.Run(m, compile.Input{Sources: sources, Now: time.Date(2026, 1, 1, 12, 30, 0, 0, time.UTC), Sightings: l.seen})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&l.out, "12:30:00 behind another one, with a hash of kustomize\n  %s\n", told(t, r))
		},
		"another lifetime": func(l *life) {
			l.spec = fromLines(hour)
			l.at(t, "12:00:00", "10.0.0.0/8\n")
			l.at(t, "12:30:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "13:00:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.spec = fromLines(", expireAfter: 90m")
			l.at(t, "13:10:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.spec = fromLines(", expireAfter: 30m")
			l.at(t, "13:20:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.spec = fromLines("")
			l.at(t, "13:30:00", "10.0.0.0/8\n11.0.0.0/8\n")
		},
		"a clock that is put back": func(l *life) {
			l.spec = fromLines(hour)
			l.at(t, "12:00:00", "10.0.0.0/8\n")
			l.at(t, "12:50:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "13:00:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "11:00:00", "10.0.0.0/8\n11.0.0.0/8\n")
			l.at(t, "12:00:00", "10.0.0.0/8\n11.0.0.0/8\n")
		},
		"ranges": func(l *life) {
			l.spec = fromLines(hour)
			l.at(t, "12:00:00", "10.0.0.0-10.2.255.255\n")
			l.at(t, "12:30:00", "10.0.0.0-10.3.255.255\n")
			l.at(t, "13:00:00", "10.0.0.0-10.2.255.255\n")
		},
		"aggregated": func(l *life) {
			l.spec = fromLines(hour + ", aggregate: true")
			l.at(t, "12:00:00", "10.0.0.0/9\n")
			l.at(t, "12:30:00", "10.0.0.0/9\n10.128.0.0/9\n")
			l.at(t, "13:00:00", "10.0.0.0/9\n10.128.0.0/9\n")
		},
		"overridden": func(l *life) {
			l.spec = "  conflictPolicy: First\n  entriesFrom:\n  - {configMapRef: {name: a, key: list}, format: Lines, value: 1, expireAfter: 1h}\n  - {configMapRef: {name: b, key: list}, format: Lines, value: 2}\n"
			l.at(t, "12:00:00", "10.0.0.0/8\n", "10.0.0.0/8\n")
			l.at(t, "13:00:00", "10.0.0.0/8\n", "10.0.0.0/8\n")
		},
		"the end of lifetimes is no change": func(l *life) {
			l.spec = fromLines(hour + `, limits: {maxChange: "20%", minEntries: 3}`)
			l.at(t, "12:00:00", networks(0, 10))
			l.at(t, "13:00:00", networks(0, 11))
			l.at(t, "13:10:00", networks(0, 13))
			l.at(t, "13:20:00", networks(0, 16))
			l.at(t, "15:00:00", networks(0, 13))
			l.at(t, "15:10:00", networks(0, 16))
		},
		"what can't be": func(l *life) {
			l.spec = fromLines(", expireAfter: 59s")
			l.at(t, "12:00:00", "10.0.0.0/8\n")
			l.spec = fromLines(", expireAfter: 87601h")
			l.at(t, "12:00:00", "10.0.0.0/8\n")
			l.spec = fromLines(", expireAfter: -1h")
			l.at(t, "12:00:00", "10.0.0.0/8\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := life{cache: compile.NewCache()}
			play(&l)
			golden.Native(t, "testdata/lifetimes/"+strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "'", "")+".golden", l.out.String())
		})
	}
}

// TestLifetimesNeedKeys: of elements without keys nobody can say which was seen.
func TestLifetimesNeedKeys(t *testing.T) {
	m, sources := specOf(t, "type: Queue\nvalue: {type: u32}\nmaxEntries: 4\n"+from("Lines", ", expireAfter: 1h"), []byte("1\n"))
	want := "spec.entriesFrom[0].expireAfter: needs keys, of which a Queue has none"
	if _, err := compile.Run(m, compile.Input{Sources: sources, Now: time.Now()}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestSightingsAreBounded: more keys than are remembered are refused, also if most of them are over; repetitions aren't
// counted.
func TestSightingsAreBounded(t *testing.T) {
	defer compile.SetMaxSightings(20)()
	spec := fromLines(", expireAfter: 1h", ", expireAfter: 2h", "")
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var seen sighting.Table
	for _, c := range []struct {
		after    time.Duration
		networks [3]string
		want     string
	}{
		{0, [3]string{networks(0, 10), networks(20, 10), networks(40, 20)}, ""},
		{90 * time.Minute, [3]string{strings.Repeat(networks(0, 10), 20), networks(20, 10), networks(40, 20)}, ""},
		{90 * time.Minute, [3]string{networks(0, 10), networks(20, 11), networks(40, 20)}, "spec.entriesFrom[0] (ConfigMap a, key list): expireAfter 1h0m0s: the sources with expireAfter hold more than 20 keys"},
		{90 * time.Minute, [3]string{networks(0, 10), networks(20, 41), networks(70, 20)}, "spec.entriesFrom[1] (ConfigMap b, key list): expireAfter 2h0m0s: the sources with expireAfter hold more than 20 keys"},
	} {
		r, err := compile.Run(policyTrie(t, spec), compile.Input{Sources: sourcesOf(c.networks[:]...), Now: noon.Add(c.after), Sightings: seen})
		switch {
		case c.want == "" && (err != nil || len(r.Sightings) != 20):
			t.Fatalf("%d sightings, %v", len(r.Sightings), err)
		case c.want == "":
			seen = r.Sightings
		case err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || r.Sightings != nil:
			t.Errorf("%d sightings, %v; want %s", len(r.Sightings), err, c.want)
		case r.Sources[0].Problem+r.Sources[min(1, len(r.Sources)-1)].Problem == "":
			t.Errorf("no source is to blame: %+v", r.Sources)
		}
	}
}

// BenchmarkLifetimes compiles the most keys that are remembered.
func BenchmarkLifetimes(b *testing.B) {
	var list strings.Builder
	for i := range sighting.Max {
		fmt.Fprintf(&list, "10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
	}
	for _, after := range []time.Duration{0, time.Hour} {
		b.Run(after.String(), func(b *testing.B) {
			m := &v1alpha1.BPFMap{}
			m.Namespace, m.Name, m.UID = "edge", "blocklist", "uid-1"
			m.Spec = v1alpha1.BPFMapSpec{Type: v1alpha1.MapTypeHash, Key: &v1alpha1.Schema{Type: v1alpha1.TypeIPv4}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU32}, MaxEntries: sighting.Max}
			m.Spec.EntriesFrom = []v1alpha1.EntrySource{{ConfigMapRef: &v1alpha1.SourceRef{Name: "a", Key: "list"}, Format: v1alpha1.SourceLines, Value: raw("1")}}
			m.Spec.EntriesFrom[0].ExpireAfter.Duration = after
			in := compile.Input{Sources: sourcesOf(list.String()), Now: time.Now()}
			for b.Loop() {
				r, err := compile.Run(m, in)
				if err != nil {
					b.Fatal(err)
				}
				in.Sightings = r.Sightings
			}
		})
	}
}
