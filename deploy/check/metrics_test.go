package check

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// scraped are the labels of every series that a node in use exports, by metric.
type scraped map[string][]string

// scrape starts a node, has everything happen once that is counted by name, and reads its metrics.
func scrape(t *testing.T) scraped {
	t.Helper()
	kafka, admin := startBroker(t, "--set", "offsets.topic.num.partitions=1")
	logctl(t, kafka, "", "topic", "create", "orders")
	logctl(t, kafka, "a\nb\n", "produce", "orders")
	logctl(t, kafka, "", "consume", "orders", "--group", "billing", "--number", "2")
	r, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := scraped{"up": nil}
	for name, f := range families {
		var names []string
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if !slices.Contains(names, l.GetName()) {
					names = append(names, l.GetName())
				}
			}
		}
		found[name] = names
		if f.GetType() == dto.MetricType_HISTOGRAM {
			found[name+"_bucket"] = append([]string{"le"}, names...)
			found[name+"_sum"], found[name+"_count"] = names, names
		}
	}
	for _, name := range unseen {
		if _, ok := found[name]; !ok {
			found[name] = documented(t)[name]
		}
	}
	return found
}

// unseen are metrics that a single node has no series of, where nothing fails and nothing is transactional.
var unseen = []string{"quorumlog_peer_up", "quorumlog_request_errors_total", "quorumlog_transactions"}

// documented are the metrics of docs/metrics.md with their labels.
func documented(t *testing.T) scraped {
	rows := regexp.MustCompile("(?m)^\\| `(quorumlog_[a-z_]+)` \\| ([a-z, ]*) \\|")
	all := scraped{}
	for _, m := range rows.FindAllStringSubmatch(string(read(t, "../docs/metrics.md")), -1) {
		all[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
	}
	return all
}

// target are the labels that Prometheus gives every series.
var target = []string{"job", "instance"}

// check fails where an expression is no PromQL or asks for what is not exported.
func (s scraped) check(t *testing.T, where, expr string) {
	t.Helper()
	ast, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, expr)
		return
	}
	parser.Inspect(ast, func(n parser.Node, _ []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		has, known := s[v.Name]
		if !known {
			t.Errorf("%s: nothing is named %s", where, v.Name)
		}
		for _, m := range v.LabelMatchers {
			if m.Name != labels.MetricName && !slices.Contains(has, m.Name) && !slices.Contains(target, m.Name) {
				t.Errorf("%s: %s has no label %s", where, v.Name, m.Name)
			}
		}
		return nil
	})
}

// grouped are the labels that an expression groups by anywhere.
func (s scraped) checkGrouping(t *testing.T, where, expr string) {
	t.Helper()
	ast, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return // told by check
	}
	parser.Inspect(ast, func(n parser.Node, _ []parser.Node) error {
		a, ok := n.(*parser.AggregateExpr)
		if !ok {
			return nil
		}
		var has []string
		parser.Inspect(a.Expr, func(n parser.Node, _ []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok {
				has = append(has, s[v.Name]...)
			}
			return nil
		})
		for _, l := range a.Grouping {
			if !slices.Contains(has, l) && !slices.Contains(target, l) {
				t.Errorf("%s: groups by %s, which nothing in it has: %s", where, l, expr)
			}
		}
		return nil
	})
}

func TestRulesAndDashboardAskForWhatABrokerExports(t *testing.T) {
	s := scrape(t)
	for name, of := range documented(t) {
		if got, ok := s[name]; !ok || len(got) < len(of) {
			t.Errorf("%s is documented with the labels %v; the scrape has %v (%v)", name, of, got, ok)
		}
	}
	groups, errs := rulefmt.Parse(read(t, "prometheus/quorumlog.rules.yml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	runbook := string(read(t, "../docs/runbook.md"))
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			s.check(t, r.Alert, r.Expr)
			s.checkGrouping(t, r.Alert, r.Expr)
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s lacks a severity, a summary or a description", r.Alert)
			}
			if want := "docs/runbook.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want || !strings.Contains(runbook, "\n### "+r.Alert+"\n") {
				t.Errorf("%s: its section of the runbook is missing, or not linked as %s", r.Alert, want)
			}
		}
	}
	exprs := dashboard(t)
	if len(exprs) < 30 {
		t.Errorf("%d queries in the dashboard", len(exprs))
	}
	for where, expr := range exprs {
		s.check(t, where, expr)
		s.checkGrouping(t, where, expr)
	}
}

// dashboard returns the queries of the dashboard by their place, with Grafana's variables filled in.
func dashboard(t *testing.T) map[string]string {
	t.Helper()
	var d struct {
		UID    string
		Panels []struct {
			ID          int
			Title, Type string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ RefID, Expr string }
		}
		Templating struct {
			List []struct{ Name string }
		}
	}
	if err := json.Unmarshal(read(t, "grafana/quorumlog.json"), &d); err != nil {
		t.Fatal(err)
	}
	variables := []string{"$__rate_interval", "5m"}
	for _, v := range d.Templating.List {
		variables = append(variables, "$"+v.Name, "x")
	}
	fill := strings.NewReplacer(variables...)
	exprs, ids := map[string]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d, %q: its id is taken, it has no title, or it does not fit", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s asks for nothing", p.Title)
		}
		for _, q := range p.Targets {
			expr := fill.Replace(q.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: an unknown variable in %s", p.Title, q.Expr)
			}
			exprs[fmt.Sprintf("%s, query %s of panel %d", p.Title, q.RefID, p.ID)] = expr
		}
	}
	return exprs
}

func TestTheExampleOfAScrapeLoadsTheRules(t *testing.T) {
	if _, err := os.Stat(deploy + "/prometheus/quorumlog.rules.yml"); err != nil || !strings.Contains(string(read(t, "prometheus/prometheus.yml")), "quorumlog.rules.yml") {
		t.Error("the rules are not where the example looks for them")
	}
}
