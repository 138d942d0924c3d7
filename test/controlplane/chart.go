// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// RenderChart renders the chart as a release of that name in a namespace; more are arguments of helm template.
func RenderChart(ctx context.Context, release, namespace string, more ...string) (string, error) {
	helm, err := Tool("helm")
	if err != nil {
		return "", err
	}
	args := append([]string{"template", release, filepath.Join(Root(), "charts", "bpfmap-operator"), "--namespace", namespace}, more...)
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, helm, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("render the chart: %w\n%s", err, stderr.String())
	}
	return stdout.String(), nil
}

// ConfigWithToken is the client configuration of who holds a token of a service account and nothing else. The token is
// bound to an object, as the kubelet binds those of pods, unless that is nil.
func (cp *ControlPlane) ConfigWithToken(ctx context.Context, namespace, account string, bound *authenticationv1.BoundObjectReference) (*rest.Config, error) {
	kube, err := kubernetes.NewForConfig(cp.admin)
	if err != nil {
		return nil, fmt.Errorf("make a token of %s: %w", account, err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: bound}}
	token, err := kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("make a token of %s: %w", account, err)
	}
	config := rest.AnonymousClientConfig(cp.Config())
	config.BearerToken, config.QPS = token.Status.Token, -1
	return config, nil
}
