package charts

import (
	"fmt"
	"slices"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// named: names are short enough and stand once, labels say whose the objects are, and the
// namespace is the release's.
func named(w *world, _ program) (faults []string) {
	seen := map[string]bool{}
	for _, o := range w.objects {
		m := o.GetObjectMeta()
		if len(m.GetName()) > 63 || m.GetName() == "" {
			faults = append(faults, name(o)+" has no name that Kubernetes takes")
		}
		if seen[name(o)] {
			faults = append(faults, name(o)+" stands twice")
		}
		seen[name(o)] = true
		if m.GetLabels()["app.kubernetes.io/name"] != "kikuai" || m.GetLabels()["app.kubernetes.io/instance"] != release || m.GetNamespace() != "" {
			faults = append(faults, name(o)+" does not say whose it is")
		}
	}
	return faults
}

func selects(s map[string]string, of map[string]string) bool {
	return len(s) > 0 && labels.SelectorFromSet(s).Matches(labels.Set(of))
}

// linked: what selects pods selects the instances and them alone, and what is referred to
// is there.
func linked(w *world, _ program) (faults []string) {
	check := func(o object, selector map[string]string) {
		for _, of := range w.pods() {
			if selects(selector, of.pod.Labels) == of.job {
				faults = append(faults, fmt.Sprintf("%s selects %s: %v", name(o), name(of.owner), of.job))
			}
		}
	}
	for _, d := range all[*apps.Deployment](w) {
		check(d, d.Spec.Selector.MatchLabels)
		for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
			check(d, spread.LabelSelector.MatchLabels)
		}
	}
	for _, s := range all[*core.Service](w) {
		check(s, s.Spec.Selector)
		for _, port := range s.Spec.Ports {
			if !containerPort(w, port.TargetPort.StrVal) {
				faults = append(faults, name(s)+" leads to no port of the instances")
			}
		}
		if ops := slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool { return p.Name == "ops" }); ops && s.Spec.ClusterIP != "None" {
			faults = append(faults, name(s)+" publishes metrics")
		}
	}
	for _, b := range all[*policy.PodDisruptionBudget](w) {
		check(b, b.Spec.Selector.MatchLabels)
	}
	for _, n := range all[*networking.NetworkPolicy](w) {
		if n.Annotations["helm.sh/hook"] == "" {
			check(n, n.Spec.PodSelector.MatchLabels)
		}
		if !slices.Contains(n.Spec.PolicyTypes, networking.PolicyTypeEgress) || !slices.Contains(n.Spec.PolicyTypes, networking.PolicyTypeIngress) {
			faults = append(faults, name(n)+" leaves a direction open")
		}
	}
	for _, m := range all[*monitoring.ServiceMonitor](w) {
		if !slices.ContainsFunc(all[*core.Service](w), func(s *core.Service) bool {
			return selects(m.Spec.Selector.MatchLabels, s.Labels) && s.Spec.Ports[0].Name == m.Spec.Endpoints[0].Port
		}) {
			faults = append(faults, name(m)+" selects no Service with metrics")
		}
	}
	return append(faults, missing(w)...)
}

func containerPort(w *world, name string) bool {
	return slices.ContainsFunc(all[*apps.Deployment](w), func(d *apps.Deployment) bool {
		return slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p core.ContainerPort) bool { return p.Name == name })
	})
}

// missing: volumes, accounts and the like that pods refer to and nobody makes. Jobs run
// before the chart's objects are there.
func missing(w *world) (faults []string) {
	has := func(kind string) bool {
		return slices.ContainsFunc(w.objects, func(o object) bool {
			return name(o) == kind && o.GetObjectMeta().GetAnnotations()["helm.sh/hook"] == ""
		})
	}
	for _, of := range w.pods() {
		needs := []string{}
		if account := of.pod.Spec.ServiceAccountName; account != "" {
			needs = append(needs, "v1.ServiceAccount "+account)
		}
		volumes := map[string]bool{}
		for _, v := range of.pod.Spec.Volumes {
			volumes[v.Name] = true
			if v.ConfigMap != nil {
				needs = append(needs, "v1.ConfigMap "+v.ConfigMap.Name)
			}
		}
		for _, need := range needs {
			if of.job || !has(need) {
				faults = append(faults, name(of.owner)+" needs "+need+", which is not there")
			}
		}
		for _, c := range of.pod.Spec.Containers {
			for _, m := range c.VolumeMounts {
				if !volumes[m.Name] {
					faults = append(faults, name(of.owner)+" mounts "+m.Name+", which is no volume")
				}
				delete(volumes, m.Name)
			}
		}
		for left := range volumes {
			faults = append(faults, name(of.owner)+" does not mount "+left)
		}
	}
	for _, h := range all[*autoscaling.HorizontalPodAutoscaler](w) {
		if !has("v1.Deployment " + h.Spec.ScaleTargetRef.Name) {
			faults = append(faults, name(h)+" scales nothing")
		}
	}
	for _, i := range all[*networking.Ingress](w) {
		for _, p := range i.Spec.Rules[0].HTTP.Paths {
			if !has("v1.Service "+p.Backend.Service.Name) || p.Backend.Service.Port.Name != "http" {
				faults = append(faults, name(i)+" leads nowhere")
			}
		}
	}
	return faults
}

// scaled: two instances or more, never more than there are shards, and one may stop.
func scaled(w *world, p program) (faults []string) {
	for _, d := range all[*apps.Deployment](w) {
		least, most := int32(0), int32(0)
		if d.Spec.Replicas != nil {
			least, most = *d.Spec.Replicas, *d.Spec.Replicas
		}
		for _, h := range all[*autoscaling.HorizontalPodAutoscaler](w) {
			if d.Spec.Replicas != nil {
				faults = append(faults, name(d)+" sets what the autoscaler sets")
			}
			least, most = *h.Spec.MinReplicas, h.Spec.MaxReplicas
			if cpu := h.Spec.Metrics[0].Resource; cpu == nil || cpu.Name != core.ResourceCPU {
				faults = append(faults, name(h)+" does not heed the processors")
			}
		}
		if least < 2 || int(most)+d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue() > p.shards {
			faults = append(faults, fmt.Sprintf("%s has %d to %d instances", name(d), least, most))
		}
	}
	if len(all[*policy.PodDisruptionBudget](w)) != 1 {
		faults = append(faults, "nothing limits disruptions")
	}
	return faults
}

// hooked: jobs are hooks that end, and migrations come before everything.
func hooked(w *world, _ program) (faults []string) {
	for _, j := range all[*batch.Job](w) {
		when := map[string]string{"migrate": "pre-install,pre-upgrade", "webhook": "post-install,post-upgrade"}[j.Spec.Template.Spec.Containers[0].Args[0]]
		if when == "" || j.Annotations["helm.sh/hook"] != when || j.Annotations["helm.sh/hook-delete-policy"] != "before-hook-creation" {
			faults = append(faults, name(j)+" runs at another time")
		}
		if j.Spec.ActiveDeadlineSeconds == nil || j.Spec.BackoffLimit == nil || j.Spec.Template.Spec.RestartPolicy != core.RestartPolicyNever {
			faults = append(faults, name(j)+" may run for ever")
		}
		selected := slices.ContainsFunc(all[*networking.NetworkPolicy](w), func(n *networking.NetworkPolicy) bool {
			return selects(n.Spec.PodSelector.MatchLabels, j.Spec.Template.Labels)
		})
		if len(all[*networking.NetworkPolicy](w)) > 0 && !selected {
			faults = append(faults, name(j)+" is under no policy")
		}
	}
	return faults
}

// published: the Ingresses lead every public route to the instances and nothing else;
// streams are not held back, and the webhook is Telegram's.
func published(w *world, p program) (faults []string) {
	ingresses := all[*networking.Ingress](w)
	if len(ingresses) == 0 {
		return nil
	}
	for _, route := range append([]string{"/metrics", "/performance/health", "/debug/pprof/", "/"}, p.routes...) {
		public := slices.Contains(p.routes, route) && route != "/readyz"
		at := ingressOf(ingresses, route)
		if (at != nil) != public {
			faults = append(faults, fmt.Sprintf("%s is published: %v", route, at != nil))
		}
		if at == nil {
			continue
		}
		say := func(annotation string) string { return at.Annotations["nginx.ingress.kubernetes.io/"+annotation] }
		streams := strings.HasPrefix(route, "/v1/") || strings.HasPrefix(route, "/api/v1/proxy/") || strings.HasPrefix(route, "/api/v1/usage/export") || route == "/api/v1/live"
		if streams != (say("proxy-buffering") == "off") || streams != (len(say("proxy-read-timeout")) >= 4) {
			faults = append(faults, route+" is held back, or waited for too long")
		}
		if (route == "/webhook") != (say("whitelist-source-range") == "149.154.160.0/20,91.108.4.0/22") {
			faults = append(faults, route+" is for the wrong networks")
		}
	}
	return faults
}

// ingressOf finds who answers a route, as a controller does: the longest path wins.
func ingressOf(ingresses []*networking.Ingress, route string) (at *networking.Ingress) {
	longest := -1
	for _, i := range ingresses {
		for _, p := range i.Spec.Rules[0].HTTP.Paths {
			fits := p.Path == route || *p.PathType == networking.PathTypePrefix && strings.HasPrefix(route, p.Path+"/")
			if fits && len(p.Path) > longest {
				at, longest = i, len(p.Path)
			}
		}
	}
	return at
}
