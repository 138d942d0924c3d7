// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

const (
	refusal = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`
	none    = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","details":{"kind":"namespaces","name":"gone"},"code":404}`
)

// TestAbsentNamespace: a refusal becomes an answer only if the API server says itself that there is no such namespace. All of
// this is what a real one answers; test/tenancy has a real one answer it.
func TestAbsentNamespace(t *testing.T) {
	for name, c := range map[string]struct {
		namespace string
		code      int // of the answer about the namespace
		body      string
		absent    bool
	}{
		"it doesn't exist":            {"gone", http.StatusNotFound, none, true},
		"it exists":                   {"gone", http.StatusOK, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"gone"}}`, false},
		"it may not be read":          {"gone", http.StatusForbidden, refusal, false},
		"the server is starting":      {"gone", http.StatusInternalServerError, `{}`, false},
		"a proxy doesn't know a path": {"gone", http.StatusNotFound, `404 page not found`, false},
		"another one is missing":      {"gone", http.StatusNotFound, `{"kind":"Status","reason":"NotFound","details":{"kind":"namespaces","name":"x"}}`, false},
		"it isn't listed":             {"others", http.StatusNotFound, none, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case r.Header.Get("Authorization") != "Bearer me":
					w.WriteHeader(http.StatusUnauthorized)
				case r.Method == http.MethodGet && r.URL.Path == "/behind/a/proxy/api/v1/namespaces/"+c.namespace && r.URL.RawQuery == "":
					w.WriteHeader(c.code)
					_, _ = fmt.Fprint(w, c.body)
				default:
					w.WriteHeader(http.StatusForbidden)
					_, _ = fmt.Fprint(w, refusal)
				}
			}))
			defer server.Close()
			config := &rest.Config{Host: server.URL + "/behind/a/proxy", BearerToken: "me"}
			config.Wrap(tellAbsent(Namespaces{"gone", "x"}))
			reader, err := client.New(config, client.Options{Scheme: Scheme(), Mapper: must(mapper(nil, nil))})
			if err != nil {
				t.Fatal(err)
			}
			err = reader.List(context.Background(), &v1alpha1.BPFMapRevisionList{}, client.InNamespace(c.namespace), client.MatchingLabels{"a": "b"})
			if IsNamespaceAbsent(err) != c.absent || apierrors.IsForbidden(err) == c.absent {
				t.Errorf("the error is %v", err)
			}
			err = reader.Delete(context.Background(), &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "r"}})
			if apierrors.IsNotFound(err) != c.absent {
				t.Errorf("the error of a deletion is %v", err)
			}
		})
	}
	for _, err := range []error{nil, errors.New("x"), apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("bpfmaps").GroupResource(), "m")} {
		if IsNamespaceAbsent(err) {
			t.Errorf("%v counts as a namespace that doesn't exist", err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
