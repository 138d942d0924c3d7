// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// MaxResultBytes bounds the JSON text of a result.
const MaxResultBytes = 1 << 20

// ErrNone is a result that is nothing: null, or an optional value that isn't there.
var ErrNone = errors.New("makes no value")

// AppendJSON appends a result as JSON: bytes in base64, times as RFC 3339 has them, durations as 1h30m0s. The error is
// ErrNone, or what can't be written.
func AppendJSON(dst []byte, v ref.Val) ([]byte, error) {
	v, err := given(v)
	if err != nil {
		return dst, err
	}
	return appendJSON(dst, v, len(dst), 0)
}

// given is a value without the optional around it.
func given(v ref.Val) (ref.Val, error) {
	for {
		o, ok := v.(*types.Optional)
		if !ok {
			break
		}
		if !o.HasValue() {
			return nil, ErrNone
		}
		v = o.GetValue()
	}
	if _, null := v.(types.Null); null {
		return nil, ErrNone
	}
	return v, nil
}

// Elements are those of a list, at most that many; false if v isn't one.
func Elements(v ref.Val, most int) ([]ref.Val, bool, error) {
	v, err := given(v)
	if err != nil {
		return nil, false, err
	}
	list, ok := v.(traits.Lister)
	if !ok {
		return nil, false, nil
	}
	n, ok := list.Size().(types.Int)
	if !ok || int(n) > most {
		return nil, false, fmt.Errorf("makes a list of %v elements, at most %d are possible", list.Size(), most)
	}
	all := make([]ref.Val, 0, int(n))
	for it := list.Iterator(); it.HasNext() == types.True; {
		all = append(all, it.Next())
	}
	return all, true, nil
}

func appendJSON(dst []byte, v ref.Val, start, depth int) ([]byte, error) {
	if depth > maxDepth || len(dst)-start > MaxResultBytes {
		return dst, fmt.Errorf("makes a value that is nested deeper than %d levels or has more than %d bytes", maxDepth, MaxResultBytes)
	}
	switch v := v.(type) {
	case types.Null:
		return append(dst, "null"...), nil
	case types.Bool:
		return strconv.AppendBool(dst, bool(v)), nil
	case types.Int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case types.Double:
		return appendDouble(dst, float64(v)), nil
	case types.String:
		return appendString(dst, string(v), start)
	case types.Bytes:
		return appendString(dst, base64.StdEncoding.EncodeToString(v), start)
	case types.Timestamp:
		return appendString(dst, v.UTC().Format(time.RFC3339Nano), start)
	case types.Duration:
		return appendString(dst, v.String(), start)
	case traits.Lister:
		return appendList(dst, v, start, depth)
	case traits.Mapper:
		return appendMap(dst, v, start, depth)
	}
	switch value := v.Value().(type) {
	case netip.Addr:
		return appendString(dst, value.String(), start)
	case netip.Prefix:
		return appendString(dst, value.String(), start)
	}
	return dst, fmt.Errorf("makes a %s, which is not a value of an entry", v.Type().TypeName())
}

// appendDouble writes numbers that JSON hasn't as texts, which the types that have them take.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"nan"`...)
	case math.IsInf(f, 1):
		return append(dst, `"inf"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-inf"`...)
	case f == math.Trunc(f) && math.Abs(f) < 1<<53:
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

func appendString(dst []byte, text string, start int) ([]byte, error) {
	if len(dst)-start+len(text) > MaxResultBytes {
		return dst, fmt.Errorf("makes more than %d bytes", MaxResultBytes)
	}
	b, err := json.Marshal(text)
	return append(dst, b...), err
}

func appendList(dst []byte, list traits.Lister, start, depth int) ([]byte, error) {
	dst = append(dst, '[')
	first := true
	for it := list.Iterator(); it.HasNext() == types.True; {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var err error
		if dst, err = appendJSON(dst, it.Next(), start, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendMap(dst []byte, m traits.Mapper, start, depth int) ([]byte, error) {
	dst = append(dst, '{')
	first := true
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return dst, fmt.Errorf("makes an object with the key %v, which is not a string", key.Value())
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		var err error
		if dst, err = appendString(dst, string(name), start); err != nil {
			return dst, err
		}
		if dst, err = appendJSON(append(dst, ':'), m.Get(key), start, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}
