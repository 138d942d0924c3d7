// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // client-go's portforward still takes its types
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Dial connects to an agent.
type Dial func(ctx context.Context, at *v1alpha1.ContentsEndpoint) (net.Conn, error)

// dialing is what messages of connections that couldn't be made begin with.
const dialing = "connect to pod"

// forwardTo makes the dialer that goes through the API server, as kubectl port-forward does, without a port on this machine.
func forwardTo(config *rest.Config) Dial {
	return func(ctx context.Context, at *v1alpha1.ContentsEndpoint) (net.Conn, error) {
		dialer, err := podDialer(config, at)
		if err != nil {
			return nil, fmt.Errorf("%s %s/%s: %w", dialing, at.Namespace, at.Pod, err)
		}
		type dialed struct {
			conn net.Conn
			err  error
		}
		done := make(chan dialed, 1)
		go func() {
			conn, err := dialPort(dialer, at.Port)
			done <- dialed{conn, err}
		}()
		select {
		case d := <-done:
			if d.err != nil {
				return nil, fmt.Errorf("%s %s/%s through the API server: %w", dialing, at.Namespace, at.Pod, d.err)
			}
			return d.conn, nil
		case <-ctx.Done():
			go func() { // a connection that comes too late is closed
				if d := <-done; d.conn != nil {
					_ = d.conn.Close()
				}
			}()
			return nil, context.Cause(ctx)
		}
	}
}

// podDialer connects by WebSockets, and by SPDY with API servers and proxies that don't let these pass.
func podDialer(config *rest.Config, at *v1alpha1.ContentsEndpoint) (httpstream.Dialer, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the API server's address: %w", err)
	}
	u := base.JoinPath("api", "v1", "namespaces", url.PathEscape(at.Namespace), "pods", url.PathEscape(at.Pod), "portforward")
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	bySPDY := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
	byWebSocket, err := portforward.NewSPDYOverWebsocketDialer(u, config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialer(byWebSocket, bySPDY, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// dialPort connects to a port of a pod.
func dialPort(dialer httpstream.Dialer, port int32) (net.Conn, error) {
	connection, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	c := &portConn{connection: connection}
	if err := c.open(port); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return c, nil
}

// portConn is one forwarded port as a net.Conn, without deadlines.
type portConn struct {
	httpstream.Stream
	connection httpstream.Connection
	// refused is what the kubelet says of a connection that it couldn't make.
	refused atomic.Pointer[string]
}

// maxRefusal bounds what the kubelet says, in bytes.
const maxRefusal = 1024

func (c *portConn) open(port int32) error {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	headers.Set(corev1.PortForwardRequestIDHeader, "0") // the only one of its connection
	errs, err := c.connection.CreateStream(headers)
	if err != nil {
		return fmt.Errorf("open a stream for errors: %w", err)
	}
	if err := errs.Close(); err != nil { // for writing: nothing is
		return fmt.Errorf("open a stream for errors: %w", err)
	}
	go func() {
		text, _ := io.ReadAll(io.LimitReader(errs, maxRefusal)) // what was read counts
		if len(text) > 0 {
			why := strings.TrimSpace(string(text))
			c.refused.Store(&why)
			_ = c.connection.Close()
		}
	}()
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	if c.Stream, err = c.connection.CreateStream(headers); err != nil {
		return fmt.Errorf("open a stream for data: %w", err)
	}
	return nil
}

// Read reads; the error is the kubelet's, if it gave one.
func (c *portConn) Read(p []byte) (int, error) {
	n, err := c.Stream.Read(p)
	return n, c.explain(err)
}

// Write writes; the error is the kubelet's, if it gave one.
func (c *portConn) Write(p []byte) (int, error) {
	n, err := c.Stream.Write(p)
	return n, c.explain(err)
}

func (c *portConn) explain(err error) error {
	if why := c.refused.Load(); err != nil && why != nil {
		return fmt.Errorf("the kubelet couldn't connect: %s", *why)
	}
	return err
}

// Close ends the connection to the API server, too.
func (c *portConn) Close() error {
	return errors.Join(c.Reset(), c.connection.Close())
}

// The rest of a net.Conn.

func (*portConn) LocalAddr() net.Addr              { return podAddress{} }
func (*portConn) RemoteAddr() net.Addr             { return podAddress{} }
func (*portConn) SetDeadline(time.Time) error      { return nil }
func (*portConn) SetReadDeadline(time.Time) error  { return nil }
func (*portConn) SetWriteDeadline(time.Time) error { return nil }

type podAddress struct{}

func (podAddress) Network() string { return "portforward" }
func (podAddress) String() string  { return "pod" }
