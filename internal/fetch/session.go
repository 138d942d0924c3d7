// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// session is a client for one document, with its credentials.
type session struct {
	http      *http.Client
	transport *http.Transport
	limits    Limits
	userAgent string
	authorize func(*http.Request)
	// proxySecret is the Secret that tells the proxy; empty for none.
	proxySecret string
	// home is the host that the credentials are for.
	home  string
	clock Clock
}

// The keys of the Secrets.
const (
	keyUsername = "username"
	keyPassword = "password"
	keyBearer   = "bearerToken"
	keyCA       = "ca.crt"
	keyCert     = "tls.crt"
	keyKey      = "tls.key"
	keyAddress  = "address"
)

// session makes the client for a document.
func (c *Client) session(ctx context.Context, s Spec) (*session, error) {
	policy := c.Policy
	if s.Artifact != nil {
		policy = c.Artifacts
	}
	n := newSession(policy, c)
	if s.Artifact != nil {
		return n, nil
	}
	if ref := s.HTTP.SecretRef; ref != nil {
		data, err := c.data(ctx, "Secret", s.Namespace, ref.Name)
		if err != nil {
			return nil, err
		}
		if err := n.use(data, s.HTTP.URL); err != nil {
			return nil, fmt.Errorf("use Secret %s: %w", ref.Name, err)
		}
	}
	switch ref := s.HTTP.ProxySecretRef; {
	case ref != nil:
		data, err := c.data(ctx, "Secret", s.Namespace, ref.Name)
		if err != nil {
			return nil, err
		}
		proxy, err := proxyOf(data, policy)
		if err != nil {
			return nil, fmt.Errorf("use Secret %s: %w", ref.Name, err)
		}
		n.transport.Proxy, n.proxySecret = http.ProxyURL(proxy), ref.Name
	case c.Proxy != nil:
		n.throughAdministrators(c.Proxy, c.Limits)
	case c.Environment:
		n.transport.Proxy = http.ProxyFromEnvironment
	}
	return n, nil
}

func newSession(policy *Policy, c *Client) *session {
	l := c.Limits
	dialer := &net.Dialer{Timeout: l.Connect, Control: policy.control}
	n := &session{limits: l, userAgent: c.UserAgent, clock: c.Clock, transport: &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: l.Connect, ResponseHeaderTimeout: l.Answer,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:     true, // checksums are of what is sent
		MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
	}}
	n.http = &http.Client{Transport: n.transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		return n.checkRedirect(policy, r, via)
	}}
	return n
}

// throughAdministrators sends everything through the administrator's proxy, which may be at any address.
func (n *session) throughAdministrators(proxy *url.URL, l Limits) {
	n.transport.Proxy = http.ProxyURL(proxy)
	n.transport.DialContext = (&net.Dialer{Timeout: l.Connect}).DialContext
}

// proxyOf is the proxy that a Secret tells.
func proxyOf(data map[string][]byte, policy *Policy) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(string(data[keyAddress])))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil {
		return nil, errors.New("key address must be the URL of a proxy, as http://proxy.example:3128")
	}
	var refused *hostError
	if err := policy.CheckURL(u); errors.As(err, &refused) { // where it is, the Secret alone tells
		return nil, errors.New("the proxy's host is not allowed: " + refused.remedy)
	} else if err != nil {
		return nil, err
	}
	if name := data[keyUsername]; len(name) > 0 {
		u.User = url.UserPassword(string(name), string(data[keyPassword]))
	}
	return u, nil
}

// use takes the credentials of a Secret.
func (n *session) use(data map[string][]byte, home string) error {
	u, err := ParseURL(home)
	if err != nil {
		return err
	}
	n.home = u.Host
	config := n.transport.TLSClientConfig
	if ca := data[keyCA]; len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return errors.New("key ca.crt holds no certificate in PEM")
		}
	}
	if len(data[keyCert]) > 0 || len(data[keyKey]) > 0 {
		pair, err := tls.X509KeyPair(data[keyCert], data[keyKey])
		if err != nil {
			return fmt.Errorf("keys tls.crt and tls.key are not a client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	name, token := string(data[keyUsername]), strings.TrimSpace(string(data[keyBearer]))
	switch {
	case name != "" && token != "":
		return errors.New("keys username and bearerToken exclude each other")
	case name != "":
		n.authorize = func(r *http.Request) { r.SetBasicAuth(name, string(data[keyPassword])) }
	case token != "":
		n.authorize = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	return nil
}

func (n *session) close() { n.transport.CloseIdleConnections() }

// checkRedirect says why a redirect isn't followed.
func (n *session) checkRedirect(policy *Policy, r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https":
		return fmt.Errorf("the server redirects from https to http (host %s)", r.URL.Host)
	case n.home != "" && r.URL.Host != n.home:
		return fmt.Errorf("the server redirects to host %s, which the credentials of secretRef are not for: use its URL", r.URL.Host)
	}
	if _, err := ParseURL(r.URL.String()); err != nil {
		return fmt.Errorf("the server redirects: %w", err)
	}
	if err := policy.CheckURL(r.URL); err != nil {
		return fmt.Errorf("the server redirects: %w", err)
	}
	return nil
}

// request is one GET.
type request struct {
	url string
	// before is what is there already, with what the server said of it; nil to have the whole.
	before *Meta
	most   int64
	// verified says that what comes is checked as a whole.
	verified bool
}

type answer struct {
	unchanged          bool
	bytes              int64
	etag, lastModified string
}

// get sends a request and copies the body of its answer.
func (n *session) get(ctx context.Context, q request, to io.Writer) (answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url, http.NoBody)
	if err != nil {
		return answer{}, cause(err)
	}
	n.setHeaders(r, q.before)
	response, err := n.http.Do(r)
	if err != nil {
		return answer{}, n.explain(ctx, err)
	}
	defer response.Body.Close() // it is read to its end, or not of interest
	if response.StatusCode == http.StatusNotModified && q.before != nil && isConditional(r) {
		return answer{unchanged: true}, nil
	}
	if err := n.checkAnswer(response, q); err != nil {
		return answer{}, err
	}
	body := &paced{from: response.Body}
	stop := make(chan struct{})
	defer close(stop)
	go body.watch(stop, n.limits, cancel)
	count, err := copyUpTo(to, body, q.most, "the document")
	if err != nil {
		return answer{}, n.explain(ctx, err)
	}
	return answer{bytes: count, etag: shortHeader(response, "ETag"), lastModified: shortHeader(response, "Last-Modified")}, nil
}

func (n *session) setHeaders(r *http.Request, before *Meta) {
	r.Header.Set("User-Agent", n.userAgent)
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Accept-Encoding", "identity")
	if n.authorize != nil {
		n.authorize(r)
	}
	if before != nil && before.ETag != "" {
		r.Header.Set("If-None-Match", before.ETag)
	}
	if before != nil && before.LastModified != "" {
		r.Header.Set("If-Modified-Since", before.LastModified)
	}
}

func isConditional(r *http.Request) bool {
	return r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != ""
}

// shortHeader is a header that is to be sent back; empty if it is unreasonably long.
func shortHeader(r *http.Response, name string) string {
	if v := r.Header.Get(name); len(v) <= 1024 {
		return v
	}
	return ""
}

// checkAnswer says why the body of an answer isn't a document.
func (n *session) checkAnswer(r *http.Response, q request) error {
	switch {
	case r.StatusCode == http.StatusNotModified:
		return errors.New("the server answers 304 Not Modified, though it wasn't asked whether the document has changed")
	case r.StatusCode != http.StatusOK:
		return &StatusError{Code: r.StatusCode, RetryAfter: retryAfter(r.Header.Get("Retry-After"), n.clock.now())}
	case r.ContentLength > q.most:
		return fmt.Errorf("the document has %d bytes, at most %d are possible", r.ContentLength, q.most)
	case r.ContentLength < 0 && r.ProtoMajor == 1 && len(r.TransferEncoding) == 0 && !q.verified:
		return errors.New("the server tells neither the document's length nor its end, so that a document that is cut off can't be told from a whole one: a checksum or signature would tell")
	}
	switch e := r.Header.Get("Content-Encoding"); e {
	case "", "identity", "gzip", "x-gzip", "zstd":
		return nil
	default:
		return fmt.Errorf("the server sends the document with the encoding %.40q, which wasn't asked for", e)
	}
}

// retryAfter reads a header: seconds, or a time.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// explain turns an error of the HTTP client into one for people.
func (n *session) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err = cause(err)
	var op *net.OpError
	if n.proxySecret != "" && errors.As(err, &op) {
		return n.explainProxy(err)
	}
	if errors.As(err, &op) && op.Source != nil && op.Addr != nil { // the port of this side is another one each time
		err = fmt.Errorf("%s from %s: %w", op.Op, op.Addr, op.Err)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection ended before the document did")
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fmt.Errorf("the server did not answer in time: %w", err)
	}
	return err
}

// explainProxy is an error of a connection to a proxy without its name and its address, which are a Secret's.
func (n *session) explainProxy(err error) error {
	var refused *addressError
	var errno syscall.Errno
	var unknown *net.DNSError
	who := "the proxy of Secret " + n.proxySecret
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("the address of %s is %s", who, refused.why)
	case errors.As(err, &unknown):
		return fmt.Errorf("the name of %s can't be resolved", who)
	case isTimeout(err):
		return fmt.Errorf("%s did not answer in time", who)
	case errors.As(err, &errno):
		return fmt.Errorf("connect to %s: %w", who, errno)
	}
	return fmt.Errorf("%s can't be reached, or ended the connection", who)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Clock tells the time.
type Clock func() time.Time

func (c Clock) now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c()
}
