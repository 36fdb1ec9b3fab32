package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const resourceSyntax = `A RESOURCE is topic/NAME (or topic/PATTERN), broker/ID, group/NAME, or cluster, which stands for what
holds for all brokers that have nothing of their own.`

func newConfig(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Aliases: []string{"configs"},
		Short:   "Show, change and compare the settings of topics, brokers and groups",
		Long:    "Show, change and compare settings.\n\n" + resourceSyntax,
		Example: "  logctl config describe topic/orders\n  logctl config alter topic/orders retention.ms=604800000\n  logctl config diff broker/1 broker/2",
	}
	return group(c, newConfigDescribe(a), newConfigAlter(a), newConfigDiff(a), newConfigReset(a))
}

// resource is what has settings.
type resource struct {
	kind kmsg.ConfigResourceType
	name string // of a topic or group, or a broker's id; "" for the cluster
}

var resourceKinds = map[string]kmsg.ConfigResourceType{
	"topic": kmsg.ConfigResourceTypeTopic, "broker": kmsg.ConfigResourceTypeBroker, "group": kmsg.ConfigResourceTypeGroupConfig,
}

const clusterResource = "cluster"

// String names the resource as parseResource would accept it.
func (r resource) String() string {
	for name, kind := range resourceKinds {
		if kind == r.kind && r.name != "" {
			return name + "/" + r.name
		}
	}
	return clusterResource
}

func parseResource(s string) (resource, error) {
	if s == clusterResource {
		return resource{kind: kmsg.ConfigResourceTypeBroker}, nil
	}
	kind, name, ok := strings.Cut(s, "/")
	k, known := resourceKinds[kind]
	if !ok || !known || name == "" {
		return resource{}, usage("%q is not topic/NAME, broker/ID, group/NAME or cluster", s)
	}
	if id, err := strconv.ParseInt(name, 10, 32); k == kmsg.ConfigResourceTypeBroker && (err != nil || id < 0) {
		return resource{}, usage("%q is no broker's id; logctl cluster info shows them", name)
	}
	return resource{k, name}, nil
}

// splitResources takes the resources from the front of args; what follows them is the rest.
func splitResources(args []string) (names, rest []string) {
	i := slices.IndexFunc(args, func(s string) bool {
		return s != clusterResource && (!strings.Contains(s, "/") || strings.Contains(strings.SplitN(s, "/", 2)[0], "="))
	})
	if i < 0 {
		i = len(args)
	}
	return args[:i], args[i:]
}

// resources parses names, and puts the topics that patterns match in their place.
func (a *app) resources(ctx context.Context, adm *kadm.Client, names []string) ([]resource, error) {
	parsed := make([]resource, len(names))
	for i, n := range names {
		var err error
		if parsed[i], err = parseResource(n); err != nil {
			return nil, err
		}
	}
	var out []resource
	for _, r := range parsed {
		if r.kind == kmsg.ConfigResourceTypeBroker && r.name != "" {
			if err := a.knownBroker(ctx, adm, r.name); err != nil {
				return nil, err
			}
		}
		if r.kind != kmsg.ConfigResourceTypeTopic {
			out = append(out, r)
			continue
		}
		topics, err := a.topics(ctx, adm, []string{r.name}, false)
		if err != nil {
			return nil, err
		}
		for _, t := range topics {
			out = append(out, resource{r.kind, t.Topic})
		}
	}
	return out, nil
}

// knownBroker refuses a broker that is not there.
func (a *app) knownBroker(ctx context.Context, adm *kadm.Client, id string) error {
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		return a.explain(err, "list brokers")
	}
	if !slices.ContainsFunc(brokers, func(b kadm.BrokerDetail) bool { return strconv.Itoa(int(b.NodeID)) == id }) {
		return refused("no broker/%s runs in the cluster of %s; logctl cluster info shows which there are", id, a.at())
	}
	return nil
}

// setting is one setting of a resource as the brokers describe it.
type setting struct {
	name      string
	value     *string // nil: unset, or secret
	source    kmsg.ConfigSource
	kind      kmsg.ConfigType
	readOnly  bool
	sensitive bool
	doc       string
	chain     []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym // what holds, then what it hides
}

// sourceNames says in a word where a value comes from.
var sourceNames = map[kmsg.ConfigSource]string{
	kmsg.ConfigSourceDynamicTopicConfig:         "topic",
	kmsg.ConfigSourceDynamicBrokerConfig:        "broker",
	kmsg.ConfigSourceDynamicDefaultBrokerConfig: "cluster",
	kmsg.ConfigSourceStaticBrokerConfig:         "start", // flags, environment or file
	kmsg.ConfigSourceDefaultConfig:              "default",
	kmsg.ConfigSourceGroupConfig:                "group",
}

func sourceName(s kmsg.ConfigSource) string {
	if name, ok := sourceNames[s]; ok {
		return name
	}
	return strings.ToLower(s.String())
}

// own is the source of what was set for a resource of this kind itself.
func (r resource) own() kmsg.ConfigSource {
	switch {
	case r.kind == kmsg.ConfigResourceTypeTopic:
		return kmsg.ConfigSourceDynamicTopicConfig
	case r.kind == kmsg.ConfigResourceTypeGroupConfig:
		return kmsg.ConfigSourceGroupConfig
	case r.name == "":
		return kmsg.ConfigSourceDynamicDefaultBrokerConfig
	}
	return kmsg.ConfigSourceDynamicBrokerConfig
}

// inherited is what would hold without the resource's own value, and from where.
func (s setting) inherited(own kmsg.ConfigSource) (*string, kmsg.ConfigSource) {
	if s.source != own {
		return s.value, s.source
	}
	for _, c := range s.chain {
		if c.Source != own && c.Value != nil { // Kafka lists names that are not set, too
			return inMilliseconds(s.name, c), c.Source
		}
	}
	return nil, kmsg.ConfigSourceDefaultConfig
}

// inMilliseconds is the value of a synonym. Those of some settings in milliseconds are in minutes
// or hours.
func inMilliseconds(name string, c kmsg.DescribeConfigsResponseResourceConfigConfigSynonym) *string {
	unit := map[bool]time.Duration{strings.HasSuffix(c.Name, ".minutes"): time.Minute, strings.HasSuffix(c.Name, ".hours"): time.Hour}[true]
	n, err := strconv.ParseInt(deref(c.Value), 10, 64)
	if unit == 0 || !strings.HasSuffix(name, ".ms") || err != nil || n < 0 {
		return c.Value
	}
	ms := strconv.FormatInt(n*unit.Milliseconds(), 10)
	return &ms
}

// settingsOf asks for the settings of resources, in their order; each list is sorted by name.
func (a *app) settingsOf(ctx context.Context, cl *kgo.Client, resources []resource) ([][]setting, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	for _, r := range resources {
		in := kmsg.NewDescribeConfigsRequestResource()
		in.ResourceType, in.ResourceName = r.kind, r.name
		req.Resources = append(req.Resources, in)
	}
	found := map[resource][]setting{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, a.explain(shard.Err, "describe settings")
		}
		for _, r := range shard.Resp.(*kmsg.DescribeConfigsResponse).Resources {
			id := resource{r.ResourceType, r.ResourceName}
			if r.ErrorCode != 0 {
				return nil, refused("the settings of %s cannot be described: %s", id, refusal(r.ErrorCode, r.ErrorMessage))
			}
			found[id] = settingsIn(r)
		}
	}
	out := make([][]setting, len(resources))
	for i, r := range resources {
		out[i] = found[r]
	}
	return out, nil
}

func settingsIn(r kmsg.DescribeConfigsResponseResource) []setting {
	out := make([]setting, 0, len(r.Configs))
	for _, c := range r.Configs {
		s := setting{
			name: c.Name, value: c.Value, source: c.Source, kind: c.ConfigType,
			readOnly: c.ReadOnly, sensitive: c.IsSensitive, chain: c.ConfigSynonyms,
		}
		if c.Documentation != nil {
			s.doc = *c.Documentation
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b setting) int { return strings.Compare(a.name, b.name) })
	return out
}

// settable finds a setting that a resource has and that can be changed while brokers run. known
// may be those of a broker for the cluster, whose own list holds only what is set.
func settable(r resource, known []setting, name string) error {
	i := slices.IndexFunc(known, func(s setting) bool { return s.name == name })
	switch {
	case i < 0 && strings.HasPrefix(name, "listener.name."):
		return nil // these are made up of other names
	case i < 0:
		names := make([]string, len(known))
		for i, s := range known {
			names[i] = s.name
		}
		return usage("a %s has no setting %q%s", kindName(r), name, didYouMeanOr(name, names, "; logctl config describe shows those it has"))
	case known[i].readOnly && r.kind == kmsg.ConfigResourceTypeBroker:
		return usage("%s can only be set where a broker is started", name)
	}
	return nil
}

// kindName is what a resource is.
func kindName(r resource) string {
	if r.name == "" {
		return "cluster"
	}
	kind, _, _ := strings.Cut(r.String(), "/")
	return kind
}

// knownFor returns, for each resource, the settings that it may have.
func (a *app) knownFor(ctx context.Context, cl *kgo.Client, resources []resource) ([][]setting, error) {
	asked := slices.Clone(resources)
	for i, r := range asked {
		if r.kind == kmsg.ConfigResourceTypeBroker && r.name == "" {
			brokers, err := a.admin(cl).ListBrokers(ctx)
			if err != nil || len(brokers) == 0 {
				return nil, a.explain(firstError(err, fmt.Errorf("there are no brokers")), "list brokers")
			}
			asked[i].name = strconv.Itoa(int(brokers[0].NodeID))
		}
	}
	return a.settingsOf(ctx, cl, asked)
}

// valueText writes a value for people.
func (s setting) valueText() string {
	switch {
	case s.sensitive:
		return "(secret)"
	case s.value == nil:
		return "-"
	}
	return *s.value
}

// completeResources offers topics, as topic/NAME, and the other kinds to the shell.
func (a *app) completeResources(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
	names, _ := a.completeTopics(c, nil, s)
	for i, n := range names {
		names[i] = "topic/" + n
	}
	names = append(names, "broker/", "group/", clusterResource)
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args, n) })
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
