package charts

import (
	"fmt"
	"path/filepath"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	strict "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// object is any of Kubernetes' types.
type object interface{ GetObjectMeta() meta.Object }

// types are the kinds that the chart may make. There is no Secret among them.
var types = map[meta.TypeMeta]func() object{
	{APIVersion: "v1", Kind: "ServiceAccount"}:                       func() object { return &core.ServiceAccount{} },
	{APIVersion: "v1", Kind: "Service"}:                              func() object { return &core.Service{} },
	{APIVersion: "v1", Kind: "ConfigMap"}:                            func() object { return &core.ConfigMap{} },
	{APIVersion: "apps/v1", Kind: "Deployment"}:                      func() object { return &apps.Deployment{} },
	{APIVersion: "batch/v1", Kind: "Job"}:                            func() object { return &batch.Job{} },
	{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"}:  func() object { return &autoscaling.HorizontalPodAutoscaler{} },
	{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}:           func() object { return &policy.PodDisruptionBudget{} },
	{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"}:      func() object { return &networking.NetworkPolicy{} },
	{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"}:            func() object { return &networking.Ingress{} },
	{APIVersion: "monitoring.coreos.com/v1", Kind: "ServiceMonitor"}: func() object { return &monitoring.ServiceMonitor{} },
	{APIVersion: "monitoring.coreos.com/v1", Kind: "PrometheusRule"}: func() object { return &monitoring.PrometheusRule{} },
}

// world is what a set of values makes.
type world struct{ objects []object }

// all are the world's objects of one type.
func all[T object](w *world) []T {
	var found []T
	for _, o := range w.objects {
		if one, is := o.(T); is {
			found = append(found, one)
		}
	}
	return found
}

// decode reads one object as the API server does with strict validation: an unknown
// field, one that stands twice or is written in other letters, is an error.
func decode(text string) (object, error) {
	raw, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, err
	}
	var kind meta.TypeMeta
	if err := yaml.Unmarshal(raw, &kind); err != nil {
		return nil, err
	}
	build, known := types[kind]
	if !known {
		return nil, fmt.Errorf("%s of %s is none of the chart's kinds", kind.Kind, kind.APIVersion)
	}
	o := build()
	faults, err := strict.UnmarshalStrict(raw, o)
	if err == nil && len(faults) > 0 {
		err = faults[0]
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind.Kind, err)
	}
	return o, nil
}

func worldOf(t *testing.T, set string) *world {
	t.Helper()
	files, err := render(filepath.Join(values, set+".yaml"))
	if err != nil {
		t.Fatalf("%s: %v", set, err)
	}
	w := &world{}
	for _, text := range documents(files) {
		o, err := decode(text)
		if err != nil {
			t.Fatalf("%s: %v in\n%s", set, err, text)
		}
		w.objects = append(w.objects, o)
	}
	return w
}

// podOf is a template of pods with the object that makes them.
type podOf struct {
	owner object
	pod   *core.PodTemplateSpec
	job   bool
}

func (w *world) pods() []podOf {
	var found []podOf
	for _, d := range all[*apps.Deployment](w) {
		found = append(found, podOf{d, &d.Spec.Template, false})
	}
	for _, j := range all[*batch.Job](w) {
		found = append(found, podOf{j, &j.Spec.Template, true})
	}
	return found
}

func name(o object) string {
	return fmt.Sprintf("%T %s", o, o.GetObjectMeta().GetName())[1:]
}

// TestStrictness: what the decoder is there to see, it sees.
func TestStrictness(t *testing.T) {
	for text, fine := range map[string]bool{
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n":                                     true,
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\nautomountToken: true\n":               false,
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\nautoMountServiceAccountToken: true\n": false,
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, name: b}\n":                            false,
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: http}]}\n":             false,
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n":                                             false,
		"apiVersion: autoscaling/v2beta2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\n":           false,
	} {
		if _, err := decode(text); (err == nil) != fine {
			t.Errorf("%v of\n%s", err, text)
		}
	}
}
