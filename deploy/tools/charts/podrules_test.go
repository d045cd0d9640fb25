package charts

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
)

// The rules name what is wrong with a world, in sentences; nil: nothing.

// drained: a pod gets the time that the program takes to stop.
func drained(w *world, p program) (faults []string) {
	for _, d := range all[*apps.Deployment](w) {
		pod := d.Spec.Template.Spec
		for _, c := range pod.Containers {
			drain, err := time.ParseDuration(variable(c, "DRAIN_TIMEOUT"))
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s: DRAIN_TIMEOUT: %v", name(d), err))
			}
			if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Sleep == nil || c.Lifecycle.PreStop.Sleep.Seconds < 5 {
				faults = append(faults, name(d)+" stops before proxies know of it")
				continue
			}
			least := drain + p.settle + time.Duration(c.Lifecycle.PreStop.Sleep.Seconds)*time.Second
			if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace <= least {
				faults = append(faults, fmt.Sprintf("%s is killed after %s, and takes up to %s", name(d), grace, least))
			}
		}
		if u := d.Spec.Strategy.RollingUpdate; u == nil || u.MaxUnavailable.IntValue() != 0 || u.MaxSurge.IntValue() != 1 {
			faults = append(faults, name(d)+" stops an instance before the next one serves")
		}
	}
	return faults
}

// probed: probes ask routes that there are, on the public port, and no outage of Postgres
// takes a pod that serves out of service.
func probed(w *world, p program) (faults []string) {
	for _, d := range all[*apps.Deployment](w) {
		c := d.Spec.Template.Spec.Containers[0]
		probes := map[string]*core.Probe{"/readyz": c.StartupProbe, "/readyz?exclude=postgres": c.ReadinessProbe, "/health": c.LivenessProbe}
		for wanted, probe := range probes {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != wanted || probe.HTTPGet.Port.StrVal != "http" {
				faults = append(faults, fmt.Sprintf("%s: no probe of http asks %s where it should", name(d), wanted))
			}
			route, query, _ := strings.Cut(wanted, "?")
			_, excluded, _ := strings.Cut(query, "=")
			if !slices.Contains(p.routes, route) || query != "" && !slices.Contains(p.probes, excluded) {
				faults = append(faults, wanted+" is not what the program has")
			}
		}
		ports := map[string]string{"http": variable(c, "LISTEN_ADDR"), "ops": variable(c, "OPS_ADDR")}
		for _, port := range c.Ports {
			if ports[port.Name] != fmt.Sprintf(":%d", port.ContainerPort) {
				faults = append(faults, fmt.Sprintf("%s: port %s is %d, and the program listens on %s", name(d), port.Name, port.ContainerPort, ports[port.Name]))
			}
			delete(ports, port.Name)
		}
		for port := range ports {
			faults = append(faults, name(d)+" does not name the port "+port)
		}
	}
	return faults
}

func variable(c core.Container, name string) string {
	for _, v := range c.Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// configured: variables are settings of the program, no secret is among them, and each
// that names a secret's file names one that is mounted.
func configured(w *world, p program) (faults []string) {
	for _, of := range w.pods() {
		for _, c := range of.pod.Spec.Containers {
			files := mounted(of.pod.Spec, c)
			seen := map[string]bool{}
			for _, v := range c.Env {
				where := fmt.Sprintf("%s: %s", name(of.owner), v.Name)
				if seen[v.Name] {
					faults = append(faults, where+" is set twice")
				}
				seen[v.Name] = true
				secret, known := p.settings[v.Name]
				file, isFile := strings.CutSuffix(v.Name, "_FILE")
				switch {
				case v.ValueFrom != nil:
					faults = append(faults, where+" puts a secret into the environment")
				case known && secret:
					faults = append(faults, where+" is a secret in the open")
				case known, v.Name == "GOMEMLIMIT", strings.HasPrefix(v.Name, "OTEL_"):
				case !isFile:
					faults = append(faults, where+" is no setting of the program")
				case !slices.Contains(files, v.Value) || path.Base(v.Value) != file:
					faults = append(faults, fmt.Sprintf("%s names %s, which is not mounted", where, v.Value))
				}
			}
		}
	}
	return faults
}

// mounted are the paths of the files that a container finds in its projected volumes.
func mounted(pod core.PodSpec, c core.Container) (files []string) {
	for _, mount := range c.VolumeMounts {
		for _, volume := range pod.Volumes {
			if volume.Name != mount.Name || volume.Projected == nil {
				continue
			}
			for _, from := range volume.Projected.Sources {
				for _, item := range from.Secret.Items {
					files = append(files, path.Join(mount.MountPath, item.Path))
				}
			}
		}
	}
	return files
}

// pinned: an image is named by its digest, or by a tag that means one version.
func pinned(w *world, _ program) (faults []string) {
	for _, of := range w.pods() {
		for _, c := range of.pod.Spec.Containers {
			_, digest, hashed := strings.Cut(c.Image, "@sha256:")
			_, tag, _ := strings.Cut(path.Base(c.Image), ":")
			if hashed && len(digest) == 64 || !hashed && strings.ContainsAny(tag, "0123456789") && tag != "latest" {
				continue
			}
			faults = append(faults, fmt.Sprintf("%s runs %s, which may be another program tomorrow", name(of.owner), c.Image))
		}
	}
	return faults
}

// restricted: what the strictest of Kubernetes' security standards demands, and a root
// that cannot be written to.
func restricted(w *world, _ program) (faults []string) {
	for _, of := range w.pods() {
		pod := of.pod.Spec
		fault := func(sentence string) { faults = append(faults, name(of.owner)+" "+sentence) }
		if pod.HostNetwork || pod.HostPID || pod.HostIPC {
			fault("is in the node's namespaces")
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			fault("has a token for the API server")
		}
		if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532 ||
			s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			fault("may run as root, as another user than the image's, or without seccomp")
		}
		for _, v := range pod.Volumes {
			if v.Projected == nil && v.EmptyDir == nil && v.ConfigMap == nil {
				fault("mounts " + v.Name + ", which is neither projected nor its own")
			}
			if v.Projected != nil && *v.Projected.DefaultMode != 0o440 {
				fault("lets others read " + v.Name)
			}
		}
		for _, c := range pod.Containers {
			s := c.SecurityContext
			if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
				s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
				fault("keeps privileges")
			}
			if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
				fault("does not say what it needs")
			}
			limit := c.Resources.Limits.Memory().Value()
			if heap, err := strconv.ParseInt(variable(c, "GOMEMLIMIT"), 10, 64); !of.job && (err != nil || heap < limit*8/10 || heap > limit*95/100) {
				fault(fmt.Sprintf("keeps its heap under %d of %d bytes", heap, limit))
			}
		}
	}
	return faults
}

// commanded: what runs is a command of the program.
func commanded(w *world, p program) (faults []string) {
	for _, of := range w.pods() {
		for _, c := range of.pod.Spec.Containers {
			if len(c.Command) > 0 || len(c.Args) == 0 || !slices.Contains(p.commands, c.Args[0]) {
				faults = append(faults, fmt.Sprintf("%s runs %q %q, and the program's commands are %q", name(of.owner), c.Command, c.Args, p.commands))
			}
		}
	}
	return faults
}
