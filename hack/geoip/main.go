// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command geoip turns the IPv4 ranges of Debian's package tor-geoipdb (the IPFire Location database,
// CC BY-SA 4.0) into ConfigMaps of prefixes and a BPFMap that reads them: a real feed of some hundred
// thousand entries.
//
//	apt-get install tor-geoipdb
//	go run ./hack/geoip -in /usr/share/tor/geoip -out geoip
//	kubectl apply --server-side -f geoip      (or: bpfmap apply -f geoip)
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxBytes is how much text one ConfigMap gets: the API server takes 1 MiB an object.
const maxBytes = 900 << 10

func main() {
	in := flag.String("in", "/usr/share/tor/geoip", "file of ranges: first,last,country")
	out := flag.String("out", "geoip", "folder for the manifests")
	namespace := flag.String("namespace", "edge", "namespace of the manifests")
	flag.Parse()
	if err := run(*in, *out, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in, out, namespace string) error {
	file, err := os.Open(in)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read only
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	w := writer{out: out, namespace: namespace}
	if err := read(file, w.add); err != nil {
		return fmt.Errorf("read %s: %w", in, err)
	}
	return w.finish()
}

// read yields the prefixes of all ranges.
func read(r io.Reader, yield func(prefix netip.Prefix, country string) error) error {
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		text := lines.Text()
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		fields := strings.Split(text, ",")
		if len(fields) != 3 || len(fields[2]) != 2 {
			return fmt.Errorf("line %d: %q is not first,last,country", number, text)
		}
		first, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		last, err := strconv.ParseUint(fields[1], 10, 32)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		for _, p := range prefixes(first, last) {
			if err := yield(p, fields[2]); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

// prefixes are the fewest prefixes that make a range of addresses.
func prefixes(first, last uint64) []netip.Prefix {
	var list []netip.Prefix
	for first <= last {
		// As large as the alignment of the first address and the length of the rest allow.
		size := min(bits.TrailingZeros64(first|1<<32), bits.Len64(last-first+1)-1)
		address := netip.AddrFrom4([4]byte{byte(first >> 24), byte(first >> 16), byte(first >> 8), byte(first)})
		list = append(list, netip.PrefixFrom(address, 32-size))
		first += 1 << size
	}
	return list
}

// writer writes ConfigMaps of CSV.
type writer struct {
	out, namespace string
	text           strings.Builder
	files, entries int
}

func (w *writer) add(p netip.Prefix, country string) error {
	if w.text.Len() > maxBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.entries++
	_, err := fmt.Fprintf(&w.text, "    %s,%s\n", p, country)
	return err
}

func (w *writer) flush() error {
	name := fmt.Sprintf("geoip-%02d", w.files)
	manifest := fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: %s
  namespace: %s
  labels: {feed: geoip}
  annotations: {source: "IPFire Location database by way of Debian's tor-geoipdb, CC BY-SA 4.0"}
data:
  countries.csv: |
    key,value
%s`, name, w.namespace, w.text.String())
	w.text.Reset()
	w.files++
	return os.WriteFile(filepath.Join(w.out, name+".yaml"), []byte(manifest), 0o644)
}

func (w *writer) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	manifest := fmt.Sprintf(`apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: geoip, namespace: %s}
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: string, size: 2}
  maxEntries: %d
  syncPolicy: Mirror
  entriesFrom:
  - {configMapSelector: {matchLabels: {feed: geoip}}, format: CSV}
`, w.namespace, max(1, w.entries*5/4))
	fmt.Fprintf(os.Stderr, "%d prefixes in %d ConfigMaps\n", w.entries, w.files)
	return os.WriteFile(filepath.Join(w.out, "map.yaml"), []byte(manifest), 0o644)
}
