// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// dashboard is what this test reads of Grafana's JSON model (schema version 39, Grafana 10.4 and newer).
type dashboard struct {
	SchemaVersion int    `json:"schemaVersion"`
	UID           string `json:"uid"`
	Templating    struct {
		List []struct {
			Name       string     `json:"name"`
			Type       string     `json:"type"`
			Datasource datasource `json:"datasource"`
			Query      any        `json:"query"`
			IncludeAll bool       `json:"includeAll"`
			AllValue   string     `json:"allValue"`
			Multi      bool       `json:"multi"`
		} `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type panel struct {
	ID          int        `json:"id"`
	Type        string     `json:"type"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Datasource  datasource `json:"datasource"`
	GridPos     struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		Expr         string     `json:"expr"`
		RefID        string     `json:"refId"`
		LegendFormat string     `json:"legendFormat"`
		Format       string     `json:"format"`
		Instant      bool       `json:"instant"`
		Datasource   datasource `json:"datasource"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit    string `json:"unit"`
			NoValue string `json:"noValue"`
		} `json:"defaults"`
		Overrides []struct {
			Properties []struct {
				ID    string `json:"id"`
				Value any    `json:"value"`
			} `json:"properties"`
		} `json:"overrides"`
	} `json:"fieldConfig"`
	Transformations []struct {
		ID      string `json:"id"`
		Options struct {
			RenameByName  map[string]string `json:"renameByName"`
			ExcludeByName map[string]bool   `json:"excludeByName"`
		} `json:"options"`
	} `json:"transformations"`
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(controlplane.Root(), "config", "monitoring", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := &dashboard{}
	if err := json.Unmarshal(content, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// panelQuery is a query of the dashboard.
type panelQuery struct{ panel, expr string }

// queries are those of all panels, with the values that Grafana puts in.
func (d *dashboard) queries() (queries []panelQuery) {
	values := strings.NewReplacer("$namespace", ".*", "$name", ".*", "$__rate_interval", "15s", "$__range", "10m")
	for i := range d.Panels {
		for _, target := range d.Panels[i].Targets {
			queries = append(queries, panelQuery{d.Panels[i].Title, values.Replace(target.Expr)})
		}
	}
	return queries
}

// awaitPanels waits until each of the dashboard's queries has an answer that isn't empty.
func (p *prometheus) awaitPanels() {
	p.w.t.Helper()
	for _, q := range readDashboard(p.w.t).queries() {
		p.await(fmt.Sprintf("panel %q", q.panel), q.expr)
	}
}

// units are those of Grafana that panels may have.
var units = []string{"none", "short", "bytes", "Bps", "s", "ops", "percentunit"}

// TestPanels wants every panel to say what it shows, in which unit, and what it means that there is nothing; and to
// have a place of its own.
func TestPanels(t *testing.T) {
	d := readDashboard(t)
	if d.SchemaVersion != 39 || d.UID != "bpfmap-operator" {
		t.Errorf("schemaVersion %d, uid %q", d.SchemaVersion, d.UID)
	}
	ids, titles, cells := map[int]bool{}, map[string]bool{}, map[[2]int]string{}
	for i := range d.Panels {
		p := &d.Panels[i]
		if p.ID == 0 || ids[p.ID] || p.Title == "" || titles[p.Type+p.Title] {
			t.Errorf("panel %q: its id %d or title isn't its own", p.Title, p.ID)
		}
		ids[p.ID], titles[p.Type+p.Title] = true, true
		g := p.GridPos
		if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("panel %q is at %+v of 24 columns", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("panels %q and %q overlap", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" {
			p.check(t)
		}
	}
}

// check is for panels that show something.
func (p *panel) check(t *testing.T) {
	t.Helper()
	chosen := datasource{"prometheus", "${datasource}"}
	if p.Description == "" || p.Datasource != chosen || len(p.Targets) == 0 {
		t.Errorf("panel %q lacks a description, the chosen data source, or queries", p.Title)
	}
	if p.FieldConfig.Defaults.NoValue == "" {
		t.Errorf("panel %q doesn't say what it means that there is nothing (noValue)", p.Title)
	}
	if !slices.Contains(units, p.FieldConfig.Defaults.Unit) {
		t.Errorf("panel %q has the unit %q, not one of %v", p.Title, p.FieldConfig.Defaults.Unit, units)
	}
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if unit, ok := property.Value.(string); property.ID == "unit" && (!ok || !slices.Contains(units, unit)) {
				t.Errorf("panel %q has the unit %v, not one of %v", p.Title, property.Value, units)
			}
		}
	}
	for i, target := range p.Targets {
		if target.Datasource != chosen || target.RefID != string(rune('A'+i)) {
			t.Errorf("panel %q, query %d: data source %v, refId %q", p.Title, i, target.Datasource, target.RefID)
		}
		if isNow := p.Type == "table" || p.Type == "stat"; target.Instant != isNow || p.Type == "table" != (target.Format == "table") {
			t.Errorf("panel %q of type %s: instant %v, format %q", p.Title, p.Type, target.Instant, target.Format)
		}
	}
	switch p.Type {
	case "timeseries":
		p.checkLegends(t)
	case "table":
		p.checkColumns(t)
	case "stat":
	default:
		t.Errorf("panel %q is of type %s", p.Title, p.Type)
	}
}

var legendLabel = regexp.MustCompile(`{{(\w+)}}`)

// checkLegends wants names for series, of labels that the query keeps.
func (p *panel) checkLegends(t *testing.T) {
	t.Helper()
	for _, target := range p.Targets {
		if target.LegendFormat == "" {
			t.Errorf("panel %q names its series by whole sets of labels", p.Title)
		}
		kept := regexp.MustCompile(`by \(([^)]*)\)`).FindStringSubmatch(target.Expr)
		for _, label := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
			if kept != nil && !slices.Contains(strings.Split(kept[1], ", "), label[1]) {
				t.Errorf("panel %q: the legend has %s, the query keeps %s", p.Title, label[1], kept[1])
			}
		}
	}
}

// checkColumns wants tables without the labels of the scrape, and columns with names.
func (p *panel) checkColumns(t *testing.T) {
	t.Helper()
	for _, transformation := range p.Transformations {
		if o := transformation.Options; transformation.ID == "organize" {
			if !o.ExcludeByName["Time"] {
				t.Errorf("panel %q shows the time of the query", p.Title)
			}
			for _, target := range p.Targets {
				if kept := regexp.MustCompile(`by \(([^)]*)\)`).FindStringSubmatch(target.Expr); kept == nil && !o.ExcludeByName["instance"] {
					t.Errorf("panel %q shows the labels of the scrape", p.Title)
				} else if kept != nil {
					for label := range strings.SplitSeq(kept[1], ", ") {
						if o.RenameByName[label] == "" && !o.ExcludeByName[label] {
							t.Errorf("panel %q: the column %s has no name", p.Title, label)
						}
					}
				}
			}
			return
		}
	}
	t.Errorf("panel %q shows all labels of its series", p.Title)
}

// TestVariables wants the data source to be chosen, and every other variable to have All and several values.
func TestVariables(t *testing.T) {
	d := readDashboard(t)
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range d.Templating.List {
		if i == 0 {
			if v.Name != "datasource" || v.Type != "datasource" || v.Query != "prometheus" {
				t.Errorf("the first variable is %+v", v)
			}
			continue
		}
		if v.Type != "query" || v.Datasource != (datasource{"prometheus", "${datasource}"}) || !v.IncludeAll || v.AllValue != ".*" || !v.Multi {
			t.Errorf("variable %+v", v)
		}
		// A choice of several values is a regular expression.
		uses := regexp.MustCompile(`(=~?|!~|!=)\\"\$`+v.Name+`\b`).FindAllStringSubmatch(string(text), -1)
		if len(uses) == 0 {
			t.Errorf("nothing uses $%s", v.Name)
		}
		for _, use := range uses {
			if use[1] != "=~" {
				t.Errorf("$%s is used with %s", v.Name, use[1])
			}
		}
	}
}
