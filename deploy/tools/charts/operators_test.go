package charts

import (
	"fmt"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	core "k8s.io/api/core/v1"
)

// TestOperators: rules and dashboards are those of deploy/prometheus and deploy/grafana,
// word for word.
func TestOperators(t *testing.T) {
	w := worldOf(t, "full")
	job := all[*monitoring.ServiceMonitor](w)[0].Spec.Endpoints[0].RelabelConfigs[0]
	if job.TargetLabel != "job" || !strings.Contains(source(t, "deploy/prometheus/rules/alerts.yml"), `job="`+*job.Replacement+`"`) {
		t.Errorf("%+v is not what the rules ask for", job)
	}
	alerts, records := 0, 0
	for _, group := range all[*monitoring.PrometheusRule](w)[0].Spec.Groups {
		for _, rule := range group.Rules {
			switch {
			case rule.Alert != "" && rule.Labels["severity"] != "" && strings.Contains(fmt.Sprint(rule.Annotations), "{{"):
				alerts++
			case rule.Record != "":
				records++
			}
			if rule.Alert == "" && rule.Record == "" || rule.Expr.StrVal == "" {
				t.Errorf("%+v", rule)
			}
		}
	}
	if alerts == 0 || records == 0 {
		t.Errorf("%d alerts that name their labels, %d recording rules", alerts, records)
	}
	dashboards := 0
	for _, c := range all[*core.ConfigMap](w) {
		for file, text := range c.Data {
			if strings.HasSuffix(file, ".json") {
				dashboards++
				if c.Labels["grafana_dashboard"] != "1" || strings.TrimSpace(text) != strings.TrimSpace(source(t, "deploy/grafana/dashboards/"+file)) {
					t.Errorf("%s is another than deploy/grafana's", file)
				}
			}
		}
	}
	if dashboards == 0 {
		t.Error("no dashboards")
	}
}
