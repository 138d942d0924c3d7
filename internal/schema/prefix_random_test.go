// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// randomKeys are schemas of keys whose other fields take any bytes.
var randomKeys = []string{
	"{type: ipv4, prefix: true}", "{type: ipv6, prefix: true}", "{type: be64, prefix: true}", "{type: hex, size: 7, prefix: true}",
	"{type: string, size: 5, prefix: true}",
	ipKey, "{type: ip, prefix: true, ipv4As: First}", "{type: ip, prefix: true, ipv4As: Last}",
	firewallKey, portKey, wideKey, packedKey,
	"{fields: [{name: a, type: u64}, {name: b, type: hex, size: 3}, {name: c, type: ipv6, prefix: true}]}",
	"{packed: true, fields: [{name: a, type: u8}, {name: b, fields: [{name: d, type: u16}, {name: e, type: i64}]}, {name: c, type: be32, prefix: true}]}",
	"{fields: [{name: a, type: u8, length: 3}, {name: b, type: string, size: 9, prefix: true}]}",
	"{fields: [{name: c, type: u8, prefix: true}]}",
}

// TestRandomPrefixKeys decodes random keys, of which some have bits that don't count, or a prefix length that no
// value has, and encodes them again: the bytes are the same.
func TestRandomPrefixKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, text := range randomKeys {
		l := layoutOf(t, text)
		for range 500 {
			key := randomKey(r, l)
			raw := l.Decode(key)
			again := make([]byte, l.Size())
			more, err := l.EncodeKeys(again, raw, schema.Reading{})
			if err != nil || !bytes.Equal(again, key) || more.Count() != 1 {
				t.Fatalf("%s: %s decodes to %s, which is %s (%v, %d keys)", text, keyText(key), raw, keyText(again), err, more.Count())
			}
			_ = l.Format(key)
		}
	}
}

func randomKey(r *rand.Rand, l *schema.Layout) []byte {
	key := make([]byte, l.Size())
	m, _ := l.PrefixMember()
	for _, f := range l.Members() {
		for i := range f.Layout.Size() {
			key[f.Offset+i] = byte(r.Uint32())
		}
	}
	for i := range m.Layout.Size() {
		key[m.Offset+i] = byte(r.Uint32())
	}
	before := 8 * (m.Offset - 4)
	binary.NativeEndian.PutUint32(key, uint32(before+r.IntN(8*m.Layout.Size()+1)))
	switch r.IntN(8) {
	case 0:
		binary.NativeEndian.PutUint32(key, r.Uint32())
	case 1: // bits behind the prefix, and padding
		key[r.IntN(len(key))] ^= 1
	default:
		revision.MaskPrefix(key)
	}
	return key
}
