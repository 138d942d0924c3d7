// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// StatusError is an answer other than 200 and 304.
type StatusError struct {
	// Code is the HTTP status.
	Code int
	// RetryAfter is how long the server asks to wait; 0 if it doesn't.
	RetryAfter time.Duration
}

// Error is "the server answers 503 Service Unavailable".
func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answers %d %s", e.Code, http.StatusText(e.Code))
}

// cause is an error without the URL that net/http puts around it: its query may hold a key.
func cause(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
