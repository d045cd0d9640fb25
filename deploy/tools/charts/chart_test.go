package charts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
)

var rules = []func(*world, program) []string{
	drained, probed, configured, pinned, restricted, commanded, named, linked, scaled, hooked, published,
}

func (w *world) faults(p program) (faults []string) {
	for _, rule := range rules {
		faults = append(faults, rule(w, p)...)
	}
	return faults
}

// TestChart: every set of values makes what it should and breaks no rule.
func TestChart(t *testing.T) {
	p := readProgram(t)
	always := []string{"Deployment", "Service", "Service -ops", "ServiceAccount", "PodDisruptionBudget"}
	made := map[string][]string{
		"small": append(always, "HorizontalPodAutoscaler", "NetworkPolicy", "NetworkPolicy -jobs", "Job -migrate", "Job -webhook"),
		"still": always,
		"lean": append(always, "HorizontalPodAutoscaler", "NetworkPolicy", "NetworkPolicy -jobs", "Job -migrate", "Job -webhook",
			"Ingress", "Ingress -streams", "Ingress -webhook"),
		"full": append(always, "HorizontalPodAutoscaler", "NetworkPolicy", "NetworkPolicy -jobs", "Job -migrate", "Job -webhook",
			"Ingress", "Ingress -streams", "Ingress -webhook", "ConfigMap -catalogue", "ServiceMonitor", "PrometheusRule"),
	}
	for _, set := range sets(t, values) {
		t.Run(set, func(t *testing.T) {
			w := worldOf(t, set)
			for _, fault := range w.faults(p) {
				t.Error(fault)
			}
			wanted := slices.Clone(made[set])
			var have []string
			for _, o := range w.objects {
				_, kind, _ := strings.Cut(fmt.Sprintf("%T", o), ".")
				name := o.GetObjectMeta().GetName()
				suffix := strings.TrimPrefix(strings.TrimPrefix(name, "kikuai"), "gateway")
				if strings.Contains(suffix, "dashboard") || kind == "ConfigMap" && suffix != "-catalogue" {
					continue // one for each file of dashboards
				}
				have = append(have, strings.TrimSpace(kind+" "+suffix))
			}
			slices.Sort(wanted)
			slices.Sort(have)
			if !slices.Equal(have, wanted) {
				t.Errorf("made %q\nwant %q", have, wanted)
			}
		})
	}
}

// TestFull looks at what values choose.
func TestFull(t *testing.T) {
	w := worldOf(t, "full")
	d := all[*apps.Deployment](w)[0]
	c := d.Spec.Template.Spec.Containers[0]
	for name, want := range map[string]string{
		"BODY_LIMIT_BYTES": "20971520", "RATE_LIMIT_PER_SECOND": "2.5", "REDIS_AUTOPIPELINE": "true", "ADMIN_TELEGRAM_IDS": "4503599627370495",
		"DRAIN_TIMEOUT": "120s", "TRUSTED_PROXIES": "10.244.0.0/16,fd00:10:244::/56", "CATALOG_FILE": "/etc/kikuai/catalogue.yaml",
		"GOMEMLIMIT": "1449551462", "HOUSE_MODEL_KEY_FILE": "/run/secrets/kikuai/HOUSE_MODEL_KEY",
	} {
		if have := variable(c, name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	if *d.Spec.Template.Spec.TerminationGracePeriodSeconds != 200 || !strings.HasSuffix(c.Image, "/kikuai@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945") {
		t.Errorf("%d s, %s", *d.Spec.Template.Spec.TerminationGracePeriodSeconds, c.Image)
	}
	if lag := all[*autoscaling.HorizontalPodAutoscaler](w)[0].Spec.Metrics[1].Pods; lag.Metric.Name != "telegram_inbox_lag" || lag.Target.AverageValue.String() != "1500m" {
		t.Errorf("%+v", lag)
	}
	for _, j := range all[*batch.Job](w) {
		secret := j.Spec.Template.Spec.Volumes[0].Projected.Sources[0].Secret
		if j.Name == "gateway-migrate" && (secret.Name != "owner" || secret.Items[0].Key != "OWNER_URL") {
			t.Errorf("%+v", secret)
		}
		seen := strings.Join(mounted(j.Spec.Template.Spec, j.Spec.Template.Spec.Containers[0]), " ")
		if j.Name == "gateway-webhook" && seen != "/run/secrets/kikuai/TELEGRAM_BOT_TOKEN /run/secrets/kikuai/WEBHOOK_SECRET" {
			t.Errorf("%s sees %s", j.Name, seen)
		}
	}
	for _, i := range all[*networking.Ingress](w) {
		if i.Annotations["nginx.ingress.kubernetes.io/proxy-connect-timeout"] != "5" || i.Annotations["cert-manager.io/cluster-issuer"] != "main" || i.Spec.TLS[0].SecretName != "kikuai-tls" {
			t.Errorf("%s: %v", i.Name, i.Annotations)
		}
	}
}

// TestRules breaks each rule, and the rule must say so.
func TestRules(t *testing.T) {
	p := readProgram(t)
	pod := func(w *world) *core.PodSpec { return &all[*apps.Deployment](w)[0].Spec.Template.Spec }
	first := func(w *world) *core.Container { return &pod(w).Containers[0] }
	for _, row := range []struct {
		sentence string
		bug      func(*world)
	}{
		{"is killed after", func(w *world) { *pod(w).TerminationGracePeriodSeconds = 50 }},
		{"stops before proxies know", func(w *world) { first(w).Lifecycle.PreStop.Sleep.Seconds = 1 }},
		{"before the next one serves", func(w *world) { all[*apps.Deployment](w)[0].Spec.Strategy.RollingUpdate.MaxUnavailable.IntVal = 1 }},
		{"no probe of http asks /readyz?exclude=postgres", func(w *world) { first(w).ReadinessProbe.HTTPGet.Path = "/readyz" }},
		{"no probe of http asks /health", func(w *world) { first(w).LivenessProbe.HTTPGet.Port.StrVal = "ops" }},
		{"the program listens on", func(w *world) { first(w).Ports[1].ContainerPort = 9090 }},
		{"is no setting of the program", func(w *world) { first(w).Env[0].Name = "LISTEN" }},
		{"is a secret in the open", func(w *world) { first(w).Env[0].Name = "KEY_PEPPER" }},
		{"puts a secret into the environment", func(w *world) {
			first(w).Env[0].ValueFrom = &core.EnvVarSource{SecretKeyRef: &core.SecretKeySelector{}}
		}},
		{"which is not mounted", func(w *world) { pod(w).Volumes[0].Projected.Sources[0].Secret.Items[0].Path = "other" }},
		{"may be another program tomorrow", func(w *world) { first(w).Image = "kikuai:latest" }},
		{"may be another program tomorrow", func(w *world) { first(w).Image = "kikuai" }},
		{"has a token", func(w *world) { pod(w).AutomountServiceAccountToken = nil }},
		{"may run as root", func(w *world) { pod(w).SecurityContext.SeccompProfile = nil }},
		{"keeps privileges", func(w *world) { *first(w).SecurityContext.ReadOnlyRootFilesystem = false }},
		{"keeps privileges", func(w *world) { first(w).SecurityContext.Capabilities.Add = []core.Capability{"NET_ADMIN"} }},
		{"does not say what it needs", func(w *world) { first(w).Resources.Requests = nil }},
		{"keeps its heap under", func(w *world) { first(w).Resources.Limits[core.ResourceMemory] = *first(w).Resources.Requests.Memory() }},
		{"runs", func(w *world) { first(w).Args = []string{"server"} }},
		{"stands twice", func(w *world) { w.objects = append(w.objects, w.objects[0]) }},
		{"does not say whose it is", func(w *world) { w.objects[0].GetObjectMeta().SetLabels(nil) }},
		{"selects", func(w *world) {
			all[*policy.PodDisruptionBudget](w)[0].Spec.Selector.MatchLabels["app.kubernetes.io/name"] = "other"
		}},
		{"selects", func(w *world) { delete(all[*core.Service](w)[0].Spec.Selector, "app.kubernetes.io/component") }},
		{"leads to no port", func(w *world) { all[*core.Service](w)[0].Spec.Ports[0].TargetPort.StrVal = "web" }},
		{"which is not there", func(w *world) { pod(w).ServiceAccountName = "other" }},
		{"which is not there", func(w *world) { all[*batch.Job](w)[0].Spec.Template.Spec.ServiceAccountName = release }},
		{"which is no volume", func(w *world) { pod(w).Volumes = pod(w).Volumes[1:] }},
		{"scales nothing", func(w *world) { all[*autoscaling.HorizontalPodAutoscaler](w)[0].Spec.ScaleTargetRef.Name = "other" }},
		{"1 to 10 instances", func(w *world) { *all[*autoscaling.HorizontalPodAutoscaler](w)[0].Spec.MinReplicas = 1 }},
		{"2 to 16 instances", func(w *world) { all[*autoscaling.HorizontalPodAutoscaler](w)[0].Spec.MaxReplicas = 16 }},
		{"runs at another time", func(w *world) { all[*batch.Job](w)[0].Annotations["helm.sh/hook"] = "post-install" }},
		{"may run for ever", func(w *world) { all[*batch.Job](w)[0].Spec.ActiveDeadlineSeconds = nil }},
		{"is under no policy", func(w *world) { all[*batch.Job](w)[0].Spec.Template.Labels["app.kubernetes.io/component"] = "other" }},
		{"/readyz is published", func(w *world) { all[*networking.Ingress](w)[0].Spec.Rules[0].HTTP.Paths[0].Path = "/readyz" }},
		{"/graphql is published: false", func(w *world) {
			for _, i := range all[*networking.Ingress](w) {
				for at := range i.Spec.Rules[0].HTTP.Paths {
					if path := &i.Spec.Rules[0].HTTP.Paths[at].Path; *path == "/graphql" {
						*path = "/graph"
					}
				}
			}
		}},
		{"/v1/chat/completions is held back", func(w *world) { strip(w, "proxy-buffering") }},
		{"/webhook is for the wrong networks", func(w *world) { strip(w, "whitelist-source-range") }},
	} {
		w := worldOf(t, "lean")
		row.bug(w)
		if faults := w.faults(p); !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, row.sentence) }) {
			t.Errorf("nobody says %q: %q", row.sentence, faults)
		}
	}
}

// strip takes an annotation off every Ingress.
func strip(w *world, annotation string) {
	for _, i := range all[*networking.Ingress](w) {
		delete(i.Annotations, "nginx.ingress.kubernetes.io/"+annotation)
	}
}
