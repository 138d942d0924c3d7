// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/nativehex"
)

// TestNetworkIndex: the kernel takes the bytes of port 80 in a packet, 00 50, for index 0x5000 on a little-endian
// machine, and for index 80 on a big-endian one.
func TestNetworkIndex(t *testing.T) {
	l := layoutOf(t, "{type: be16, size: 4}")
	for _, c := range []struct{ value, bytes string }{{"80", "<00500000|00000050>"}, {`"0x01bb"`, "<01bb0000|000001bb>"}, {"65535", "<ffff0000|0000ffff>"}, {"0", "00000000"}} {
		b := make([]byte, 4)
		if err := l.Encode(b, []byte(c.value)); err != nil || hex.EncodeToString(b) != nativehex.Text(c.bytes) {
			t.Errorf("%s is %x (%v), want %s", c.value, b, err, nativehex.Text(c.bytes))
		}
		again := make([]byte, 4)
		if err := l.Encode(again, l.Decode(b)); err != nil || string(again) != string(b) {
			t.Errorf("%x decodes to %s, which is %x (%v)", b, l.Decode(b), again, err)
		}
	}
	const want = "65536 is out of range for be16 (0…65535)"
	if err := l.Encode(make([]byte, 4), []byte("65536")); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	beyond := binary.NativeEndian.AppendUint32(nil, 65536)
	if got := l.Format(beyond); got != nativehex.Text("hex:<00000100>") {
		t.Errorf("index 65536 is printed as %s", got)
	}
	if got := string(l.Decode(beyond)); got != nativehex.Text(`{"$hex":"<00000100>"}`) {
		t.Errorf("index 65536 decodes to %s", got)
	}
}
