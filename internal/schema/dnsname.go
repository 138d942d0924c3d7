// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// The bounds of RFC 1035, 2.3.4: bytes of a label, and of a name with the lengths of its labels and the root's.
const (
	maxLabel   = 63
	maxDNSName = 255
)

// toASCII is how names with other characters are looked up: mapped to lower case and normalised (UTS #46), and
// their labels in Punycode (RFC 5891).
var toASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false), idna.VerifyDNSLength(false))

// encodeDNSName writes a name as it stands in DNS messages: each label behind its length, a zero at the end, and
// zeros up to the size. Letters become small ones, as names are compared without case. The last dot is
// optional, "." is the root.
func encodeDNSName(s *scalar, dst []byte, value literal) string {
	name, ok := value.wordBytes()
	if !ok {
		return value.String() + " is not a string"
	}
	if !isASCII(name) {
		converted, err := toASCII.ToASCII(string(name))
		if err != nil {
			return fmt.Sprintf("%s is not a valid domain name: %s", value, strings.TrimPrefix(err.Error(), "idna: "))
		}
		name = []byte(converted)
	}
	if len(name) == 0 {
		return `"" is not a domain name ("." is the root)`
	}
	if name = bytes.TrimSuffix(name, []byte(".")); len(name) == 0 {
		return ""
	}
	if n := len(name) + 2; n > maxDNSName {
		return fmt.Sprintf("%s takes %d bytes in wire format, a domain name at most %d", value, n, maxDNSName)
	} else if n > s.size {
		return fmt.Sprintf("%s takes %d bytes in wire format, more than size %d", value, n, s.size)
	}
	at := 0
	for rest, more := name, true; more; {
		var label []byte
		label, rest, more = bytes.Cut(rest, []byte("."))
		if msg := labelProblem(label); msg != "" {
			return value.String() + " " + msg
		}
		dst[at] = byte(len(label))
		for i := range len(label) {
			dst[at+1+i] = lower(label[i])
		}
		at += 1 + len(label)
	}
	return ""
}

func labelProblem(label []byte) string {
	switch {
	case len(label) == 0:
		return "has an empty label between two dots"
	case len(label) > maxLabel:
		return fmt.Sprintf("has a label of %d bytes, at most %d are possible", len(label), maxLabel)
	case string(label) == "*":
		return ""
	}
	for i := range len(label) {
		if c := lower(label[i]); (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return fmt.Sprintf("has %q in a label: letters, digits, - and _ are possible, and * as a whole label", label[i])
		}
	}
	return ""
}

func isASCII(text []byte) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

func hasCapitals(label []byte) bool {
	for _, c := range label {
		if lower(c) != c {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// dnsNameOf appends the name in b, and is false if b isn't what encodeDNSName writes.
func dnsNameOf(dst, b []byte) ([]byte, bool) {
	if b[0] == 0 {
		return append(dst, '.'), isZero(b)
	}
	start := len(dst)
	for at := 0; ; {
		if at >= len(b) || at >= maxDNSName {
			return dst[:start], false
		}
		n := int(b[at])
		if n == 0 {
			return dst, isZero(b[at:])
		}
		if n > maxLabel || at+1+n > len(b) {
			return dst[:start], false
		}
		label := b[at+1 : at+1+n]
		if labelProblem(label) != "" || hasCapitals(label) {
			return dst[:start], false
		}
		if at > 0 {
			dst = append(dst, '.')
		}
		dst = append(dst, label...)
		at += 1 + n
	}
}

func appendDNSNameText(s *scalar, dst, b []byte) []byte {
	if all, ok := dnsNameOf(dst, b); ok {
		return all
	}
	return appendHex(s, append(dst, "hex:"...), b)
}

func appendDNSNameJSON(_ *scalar, dst, b []byte) []byte {
	dst, _ = dnsNameOf(append(dst, '"'), b)
	return append(dst, '"')
}

func exactDNSName(_ *scalar, b []byte) bool {
	var room [maxDNSName]byte
	_, ok := dnsNameOf(room[:0], b)
	return ok
}
