// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// never is the expiry of entries that stay.
const never = math.MaxInt64

// lastSecond is the end of the year 9999, the last one that RFC 3339 can write.
const lastSecond = 253402300799

// expiryOf reads when an entry is to go, in seconds since 1970, from JSON: a number of seconds, or a text that is one or
// is a time. Nothing, null and an empty text are never.
func expiryOf(raw []byte) (int64, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return never, nil
	}
	written := string(raw)
	if raw[0] == '"' {
		var err error
		if written, err = rawjson.Text(raw); err != nil {
			return 0, err
		}
		if written == "" {
			return never, nil
		}
	}
	if t, err := time.Parse(time.RFC3339, written); err == nil {
		return secondOf(t), nil
	}
	seconds, err := strconv.ParseFloat(written, 64)
	switch {
	case err != nil || math.IsNaN(seconds) || seconds < 0:
		return 0, fmt.Errorf("%.40q is not a time such as 2026-12-31T23:59:59Z, or a number of seconds since 1970", written)
	case seconds > lastSecond:
		return 0, fmt.Errorf("%.40q is out of range (0…%d seconds since 1970): are these milliseconds?", written, int64(lastSecond))
	}
	return int64(math.Ceil(seconds)), nil
}

// secondOf is the first whole second that isn't before t.
func secondOf(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// now is the time of compiling in whole seconds. Nothing has expired without one.
func (c *compiler) now() int64 {
	if c.in.Now.IsZero() {
		return math.MinInt64
	}
	return c.in.Now.Unix()
}
