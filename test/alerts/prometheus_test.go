// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts_test

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// rule is one alert of the PrometheusRule.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// readRules are the rules as they are shipped, and their text as Prometheus takes it.
func readRules() (rules []rule, text string, err error) {
	content, err := os.ReadFile(filepath.Join(controlplane.Root(), "config", "monitoring", "prometheus_rule.yaml"))
	if err != nil {
		return nil, "", err
	}
	var object struct {
		Spec struct {
			Groups []struct {
				Name  string `json:"name"`
				Rules []rule `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(content, &object); err != nil {
		return nil, "", err
	}
	for _, group := range object.Spec.Groups {
		rules = append(rules, group.Rules...)
	}
	spec, err := yaml.Marshal(object.Spec)
	return rules, string(spec), err
}

// The durations in the rules, and what the test makes of them.
var (
	forTimes = regexp.MustCompile(`for: \d+m`)
	ranges   = regexp.MustCompile(`\[\d+m\]`)
	offsets  = regexp.MustCompile(`offset \d+m`)
	ages     = regexp.MustCompile(`> \d+ \* 86400`)
)

func shortened(text string) string {
	text = forTimes.ReplaceAllString(text, "for: 1s")
	text = ranges.ReplaceAllString(text, "[15s]")
	text = ages.ReplaceAllString(text, "> 20")
	return offsets.ReplaceAllString(text, "offset 15s")
}

// prometheus is a running one.
type prometheus struct {
	w   *world
	url string
	dir string
}

// startPrometheus runs a Prometheus that scrapes the components as docs/operations.md describes, and
// evaluates the rules.
func (w *world) startPrometheus() *prometheus {
	w.t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		w.t.Fatalf("%v (hack/packages.sh prometheus:prometheus)", err)
	}
	_, rules, err := readRules()
	w.must(err)
	address := w.address()
	p := &prometheus{w: w, url: "http://" + address, dir: w.t.TempDir()}
	p.write("rules.yaml", shortened(rules))
	p.write("token", w.scraperToken())
	p.write("prometheus.yaml", p.configuration(docs.ShownBy(w.t, "docs/operations.md").Next().Text))
	start(w.t, filepath.Join(p.dir, "prometheus.log"), path, "--config.file="+filepath.Join(p.dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(p.dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	return p
}

// configuration is the one that docs/operations.md shows, with files and times of this test. The targets, which Kubernetes
// would tell, come from files, with the labels that the page's relabel_configs read: Debian's Prometheus knows no Kubernetes.
func (p *prometheus) configuration(shown string) string {
	p.w.t.Helper()
	var config map[string]any
	p.w.must(yaml.Unmarshal([]byte(shown), &config))
	config["global"] = map[string]string{"scrape_interval": "1s", "evaluation_interval": "1s"}
	jobs, _ := config["scrape_configs"].([]any)
	if rules, _ := config["rule_files"].([]any); len(rules) != 1 || len(jobs) != 1 {
		p.w.t.Fatalf("docs/operations.md shows %d jobs and %d files of rules", len(jobs), len(rules))
	}
	config["rule_files"] = []string{"rules.yaml"}
	job := jobs[0].(map[string]any)
	if job["kubernetes_sd_configs"] == nil {
		p.w.t.Fatal("docs/operations.md shows a job without kubernetes_sd_configs")
	}
	delete(job, "kubernetes_sd_configs")
	files := []string{}
	for _, component := range []string{"controller", "agent"} {
		p.writeTargets(component)
		files = append(files, component+".json")
	}
	job["file_sd_configs"] = []any{map[string]any{"files": files, "refresh_interval": "1s"}}
	job["authorization"] = map[string]string{"credentials_file": "token"}
	p.write("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.w.authority.Certificate.Raw})))
	config["scrape_configs"] = append(jobs, checked(job, "checked", serverName), checked(job, "misnamed", "other.example"))
	text, err := yaml.Marshal(config)
	p.w.must(err)
	return string(text)
}

// checked is a job that scrapes the controller alone, checks its certificate, and keeps no series but up.
func checked(job map[string]any, name, server string) map[string]any {
	return map[string]any{
		"job_name": name, "scheme": "https", "authorization": job["authorization"],
		"tls_config":             map[string]string{"ca_file": "ca.crt", "server_name": server},
		"file_sd_configs":        []any{map[string]any{"files": []string{"controller.json"}}},
		"metric_relabel_configs": []any{map[string]any{"source_labels": []string{"__name__"}, "regex": ".*", "action": "drop"}},
	}
}

func (p *prometheus) write(name, text string) {
	p.w.t.Helper()
	path := filepath.Join(p.dir, name)
	p.w.must(os.WriteFile(path+".new", []byte(text), 0o600))
	p.w.must(os.Rename(path+".new", path))
}

// writeTargets tells Prometheus of a component's processes, with the labels that it gets from Kubernetes.
func (p *prometheus) writeTargets(component string) {
	p.w.t.Helper()
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for _, t := range p.w.targets[component] {
		labels := map[string]string{
			"__meta_kubernetes_service_label_app_kubernetes_io_part_of": "bpfmap-operator",
			"__meta_kubernetes_namespace":                               system, "__meta_kubernetes_pod_name": t.pod, "__meta_kubernetes_pod_node_name": t.node,
		}
		groups = append(groups, group{[]string{t.address}, labels})
	}
	text, err := json.Marshal(groups)
	p.w.must(err)
	p.write(component+".json", string(text))
}

// get asks the HTTP API.
func (p *prometheus) get(path string, query url.Values, into any) error {
	response, err := http.Get(p.url + "/api/v1/" + path + "?" + query.Encode()) //nolint:noctx // loopback
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %.300s", path, response.Status, text)
	}
	return json.Unmarshal(text, &struct {
		Data any `json:"data"`
	}{into})
}

// series is the labels of one result of a query.
type series struct {
	Metric map[string]string `json:"metric"`
}

func (p *prometheus) query(expr string) ([]series, error) {
	var answer struct {
		Result []series `json:"result"`
	}
	err := p.get("query", url.Values{"query": {expr}}, &answer)
	return answer.Result, err
}

// await waits until a query has a result.
func (p *prometheus) await(what, expr string) {
	p.w.t.Helper()
	await.Nil(p.w.t, limit, func() error {
		found, err := p.query(expr)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%s: %s is empty", what, expr)
		}
		return err
	})
}

// scrape is what a process serves to the scraper.
func (p *prometheus) scrape(t target) string {
	p.w.t.Helper()
	token, err := os.ReadFile(filepath.Join(p.dir, "token"))
	p.w.must(err)
	request, err := http.NewRequestWithContext(p.w.t.Context(), http.MethodGet, "https://"+t.address+"/metrics", nil)
	p.w.must(err)
	request.Header.Set("Authorization", "Bearer "+string(token))
	// The certificate is the process's own, which says nothing about who asks.
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := c.Do(request)
	p.w.must(err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	p.w.must(err)
	if response.StatusCode != http.StatusOK {
		p.w.t.Fatalf("%s: %s: %s", t.pod, response.Status, text)
	}
	return string(text)
}

// awaitFired waits until an alert with these labels, such as name="blocked", fires or has fired.
func (p *prometheus) awaitFired(alert, labels string) {
	p.w.t.Helper()
	matcher := strings.TrimSuffix(fmt.Sprintf(`alertname=%q,alertstate="firing",%s`, alert, labels), ",")
	await.Nil(p.w.t, limit, func() error {
		found, err := p.query(fmt.Sprintf("max_over_time(ALERTS{%s}[10m])", matcher))
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%s with %q doesn't fire; others: %v", alert, labels, p.firing())
		}
		return err
	})
}

// awaitResolved waits until an alert with these labels doesn't fire any more.
func (p *prometheus) awaitResolved(alert, labels string) {
	p.w.t.Helper()
	matcher := strings.TrimSuffix(fmt.Sprintf(`alertname=%q,%s`, alert, labels), ",")
	await.Nil(p.w.t, limit, func() error {
		found, err := p.query(fmt.Sprintf("ALERTS{%s}", matcher))
		if err == nil && len(found) > 0 {
			err = fmt.Errorf("%s still fires: %v", alert, found)
		}
		return err
	})
}

// firing are the active alerts, for messages.
func (p *prometheus) firing() (all []string) {
	found, err := p.query("ALERTS")
	if err != nil {
		return []string{err.Error()}
	}
	for _, s := range found {
		all = append(all, fmt.Sprintf("%s %s %s/%s %s", s.Metric["alertname"], s.Metric["alertstate"], s.Metric["namespace"], s.Metric["name"], s.Metric["node"]))
	}
	return all
}

// awaitQuiet waits until all targets are scraped and every rule was evaluated since without an alert.
func (p *prometheus) awaitQuiet() {
	p.w.t.Helper()
	since := time.Now()
	await.Nil(p.w.t, limit, func() error {
		up, err := p.query(`up{job="bpfmap"} == 1`)
		if err != nil {
			return err
		}
		if want := len(p.w.targets["agent"]) + len(p.w.targets["controller"]); len(up) != want {
			since = time.Now()
			return fmt.Errorf("%d of %d targets are scraped", len(up), want)
		}
		if active := p.firing(); len(active) > 0 {
			since = time.Now()
			return fmt.Errorf("alerts without a fault: %v", active)
		}
		var answer struct {
			Groups []struct {
				Name           string    `json:"name"`
				LastEvaluation time.Time `json:"lastEvaluation"`
			} `json:"groups"`
		}
		if err := p.get("rules", nil, &answer); err != nil {
			return err
		}
		for _, g := range answer.Groups {
			if !g.LastEvaluation.After(since.Add(time.Second)) {
				return fmt.Errorf("group %s was evaluated last at %v", g.Name, g.LastEvaluation)
			}
		}
		return nil
	})
}
