package check

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// manifests decodes the file as the API server does when it is strict: unknown and repeated fields
// are errors.
func manifests(t *testing.T) (objects []runtime.Object) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	in := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(read(t, "kubernetes/quorumlog.yaml"))))
	for {
		doc := make([]byte, 1<<20)
		n, err := in.Read(doc)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		o, kind, err := decoder.Decode(doc[:n], nil, nil)
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		objects = append(objects, o)
	}
}

func TestManifestsAreWhatKubernetesTakesAndFitEachOther(t *testing.T) {
	var set *appsv1.StatefulSet
	var budget *policyv1.PodDisruptionBudget
	var config *corev1.ConfigMap
	services := map[string]*corev1.Service{}
	for _, o := range manifests(t) {
		switch o := o.(type) {
		case *appsv1.StatefulSet:
			set = o
		case *policyv1.PodDisruptionBudget:
			budget = o
		case *corev1.ConfigMap:
			config = o
		case *corev1.Service:
			services[o.Name] = o
		}
	}
	if set == nil || budget == nil || config == nil {
		t.Fatal("a StatefulSet, a PodDisruptionBudget or a ConfigMap is missing")
	}
	pod := labels.Set(set.Spec.Template.Labels)
	governing := services[set.Spec.ServiceName]
	if governing == nil || governing.Spec.ClusterIP != corev1.ClusterIPNone || !governing.Spec.PublishNotReadyAddresses {
		t.Errorf("the service %q of the set is not headless, or does not know nodes that are not ready", set.Spec.ServiceName)
	}
	for name, s := range services {
		if !labels.SelectorFromSet(s.Spec.Selector).Matches(pod) {
			t.Errorf("the service %s does not select the pods", name)
		}
	}
	if !labels.SelectorFromSet(budget.Spec.Selector.MatchLabels).Matches(pod) || budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Error("the disruption budget does not keep two of three pods")
	}
	c := set.Spec.Template.Spec.Containers[0]
	ports := map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for path, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet.Path != path || ports[probe.HTTPGet.Port.StrVal] != 9644 {
			t.Errorf("the probe of %s: %+v", path, probe)
		}
	}
	for _, s := range services {
		for _, p := range s.Spec.Ports {
			if ports[p.TargetPort.StrVal] != p.Port {
				t.Errorf("port %s of %s leads to %d", p.Name, s.Name, ports[p.TargetPort.StrVal])
			}
		}
	}
	if c.SecurityContext == nil || !*c.SecurityContext.ReadOnlyRootFilesystem || !*set.Spec.Template.Spec.SecurityContext.RunAsNonRoot {
		t.Error("the pod may do more than it needs to")
	}
	for i := range *set.Spec.Replicas {
		checkPod(t, set, config, i)
	}
}

// checkPod has brokerd read what the pod of this number is started with.
func checkPod(t *testing.T, set *appsv1.StatefulSet, config *corev1.ConfigMap, ordinal int32) {
	t.Helper()
	number := string(rune('0' + ordinal))
	file := filepath.Join(t.TempDir(), "brokerd.yaml")
	if err := os.WriteFile(file, []byte(config.Data["brokerd.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"metadata.name": set.Name + "-" + number, "metadata.namespace": "default", "metadata.labels['apps.kubernetes.io/pod-index']": number,
	}
	c := set.Spec.Template.Spec.Containers[0]
	var args []string
	for _, a := range c.Args {
		for _, e := range c.Env {
			a = strings.ReplaceAll(a, "$("+e.Name+")", values[e.ValueFrom.FieldRef.FieldPath])
		}
		a = strings.ReplaceAll(a, "/etc/quorumlog/brokerd.yaml", file)
		if strings.Contains(a, "$(") {
			t.Errorf("nothing fills in %s", a)
		}
		args = append(args, a)
	}
	if name := "@" + set.Name + "-" + number + "." + set.Spec.ServiceName + ":9093"; !strings.Contains(config.Data["brokerd.yaml"], number+name) {
		t.Errorf("the pod %s is not among the voters as %s%s", number, number, name)
	}
	wouldStart(t, nil, args...)
}
