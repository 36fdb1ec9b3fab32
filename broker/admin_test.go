package broker

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configsOf describes one resource and returns its entries by name.
func (b *testBroker) configsOf(kind kmsg.ConfigResourceType, name string) (map[string]kmsg.DescribeConfigsResponseResourceConfig, int16) {
	b.t.Helper()
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.Version, q.IncludeSynonyms, q.IncludeDocumentation = 4, true, true
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName = kind, name
	q.Resources = append(q.Resources, res)
	out := raw[*kmsg.DescribeConfigsResponse](b, q).Resources[0]
	byName := map[string]kmsg.DescribeConfigsResponseResourceConfig{}
	for _, c := range out.Configs {
		byName[c.Name] = c
	}
	return byName, out.ErrorCode
}

// alter changes one resource incrementally and returns the answer.
func (b *testBroker) alter(kind kmsg.ConfigResourceType, name string, dry bool, ops ...kmsg.IncrementalAlterConfigsRequestResourceConfig) (code int16, words string) {
	b.t.Helper()
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.Version, q.ValidateOnly = 1, dry
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName, res.Configs = kind, name, ops
	q.Resources = append(q.Resources, res)
	out := raw[*kmsg.IncrementalAlterConfigsResponse](b, q).Resources[0]
	if out.ErrorMessage != nil {
		words = *out.ErrorMessage
	}
	return out.ErrorCode, words
}

func op(o kmsg.IncrementalAlterConfigOp, name, value string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op, c.Value = name, o, &value
	return c
}

const (
	set    = kmsg.IncrementalAlterConfigOpSet
	unset  = kmsg.IncrementalAlterConfigOpDelete
	adding = kmsg.IncrementalAlterConfigOpAppend
	taking = kmsg.IncrementalAlterConfigOpSubtract
)

func TestTopicConfigsAreSetAndTakenBackWithTheirSource(t *testing.T) {
	b := startBroker(t, map[string]string{"log.retention.hours": "2"})
	b.topic("t", 1, nil)
	const kind = kmsg.ConfigResourceTypeTopic
	check := func(when, want string, source kmsg.ConfigSource) {
		t.Helper()
		c, _ := b.configsOf(kind, "t")
		if got := c["retention.ms"]; got.Value == nil || *got.Value != want || got.Source != source || got.Documentation == nil || len(got.ConfigSynonyms) == 0 {
			t.Errorf("%s: retention.ms is %+v; want %s from %v", when, got, want, source)
		}
	}
	check("from log.retention.hours", "7200000", kmsg.ConfigSourceStaticBrokerConfig)
	if code, words := b.alter(kind, "t", false, op(set, "retention.ms", "1234")); code != 0 {
		t.Fatal(kerr.ErrorForCode(code), words)
	}
	check("set", "1234", kmsg.ConfigSourceDynamicTopicConfig)
	if x := b.replicas.get(b.meta.Image().Topic("t").ID, 0); x.settings().RetentionMs != 1234 {
		t.Errorf("the partition goes by %d ms", x.settings().RetentionMs)
	}
	b.alter(kind, "t", true, op(set, "retention.ms", "99"))
	check("after a dry run", "1234", kmsg.ConfigSourceDynamicTopicConfig)
	b.alter(kind, "t", false, op(unset, "retention.ms", ""))
	check("taken back", "7200000", kmsg.ConfigSourceStaticBrokerConfig)

	b.alter(kind, "t", false, op(adding, "cleanup.policy", "compact"))
	if v := b.meta.Image().Topic("t").Configs["cleanup.policy"]; v != "delete,compact" {
		t.Errorf("compact added to the default: %q", v)
	}
	b.alter(kind, "t", false, op(taking, "cleanup.policy", "delete"))
	if v := b.meta.Image().Topic("t").Configs["cleanup.policy"]; v != "compact" {
		t.Errorf("delete taken away: %q", v)
	}
}

func TestConfigChangesAreRefusedByName(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	for name, tc := range map[string]struct {
		kind     kmsg.ConfigResourceType
		resource string
		op       kmsg.IncrementalAlterConfigsRequestResourceConfig
		want     *kerr.Error
		words    string
	}{
		"unknown topic":       {kmsg.ConfigResourceTypeTopic, "nowhere", op(set, "retention.ms", "1"), kerr.UnknownTopicOrPartition, "nowhere"},
		"unknown setting":     {kmsg.ConfigResourceTypeTopic, "t", op(set, "retention", "1"), kerr.InvalidConfig, "retention"},
		"bad value":           {kmsg.ConfigResourceTypeTopic, "t", op(set, "retention.ms", "x"), kerr.InvalidConfig, "retention.ms"},
		"append to no list":   {kmsg.ConfigResourceTypeTopic, "t", op(adding, "retention.ms", "1"), kerr.InvalidConfig, "LIST"},
		"read-only":           {kmsg.ConfigResourceTypeBroker, "", op(set, "broker.rack", "r"), kerr.InvalidRequest, "broker.rack"},
		"another broker":      {kmsg.ConfigResourceTypeBroker, "9", op(set, "log.retention.ms", "1"), kerr.InvalidRequest, "9"},
		"no number of broker": {kmsg.ConfigResourceTypeBroker, "one", op(set, "log.retention.ms", "1"), kerr.InvalidRequest, "one"},
		"log levels":          {kmsg.ConfigResourceTypeBrokerLogger, "1", op(set, "root", "DEBUG"), kerr.InvalidRequest, "8"},
	} {
		if code, words := b.alter(tc.kind, tc.resource, false, tc.op); code != tc.want.Code || !strings.Contains(words, tc.words) {
			t.Errorf("%s: %v %q; want %v with %q", name, kerr.ErrorForCode(code), words, tc.want, tc.words)
		}
	}
	if code, _ := b.alter(kmsg.ConfigResourceTypeTopic, "t", false, op(set, "retention.ms", "1"), op(set, "retention.ms", "2")); code != kerr.InvalidRequest.Code {
		t.Errorf("the same setting twice: %v", kerr.ErrorForCode(code))
	}
}

func TestDynamicBrokerSettingBecomesTheDefaultOfTopicsAndOutlivesARestart(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	if code, words := b.alter(kmsg.ConfigResourceTypeBroker, "", false, op(set, "log.retention.ms", "5000")); code != 0 {
		t.Fatal(kerr.ErrorForCode(code), words)
	}
	for _, when := range []string{"at once", "after a restart"} {
		if x := b.replicas.get(b.meta.Image().Topic("t").ID, 0); x.settings().RetentionMs != 5000 {
			t.Errorf("%s retention is %d ms", when, x.settings().RetentionMs)
		}
		c, _ := b.configsOf(kmsg.ConfigResourceTypeBroker, "1")
		if got := c["log.retention.ms"]; got.Value == nil || *got.Value != "5000" || got.Source != kmsg.ConfigSourceDynamicDefaultBrokerConfig {
			t.Errorf("%s: %+v", when, got)
		}
		b.restart()
	}
}

func TestPartitionsAreAddedAndServed(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	add := func(topic string, count int32) int16 {
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.Version = 3
		in := kmsg.NewCreatePartitionsRequestTopic()
		in.Topic, in.Count = topic, count
		q.Topics = append(q.Topics, in)
		return raw[*kmsg.CreatePartitionsResponse](b, q).Topics[0].ErrorCode
	}
	if code := add("t", 3); code != 0 {
		t.Fatal(kerr.ErrorForCode(code))
	}
	q := produceRequest("t", batchOf("v"))
	q.Topics[0].Partitions[0].Partition = 2
	if got := b.produced(q); got.ErrorCode != 0 {
		t.Errorf("the new partition: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	if code := add("t", 3); code != kerr.InvalidPartitions.Code {
		t.Errorf("no increase: %v", kerr.ErrorForCode(code))
	}
	if code := add("nowhere", 3); code != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("unknown topic: %v", kerr.ErrorForCode(code))
	}
}

func TestClusterIsDescribed(t *testing.T) {
	b := startBroker(t, map[string]string{"broker.rack": "r1"})
	b.topic("b", 5, nil)
	b.topic("a", 3, nil)
	b.write("a", "v")

	cluster := raw[*kmsg.DescribeClusterResponse](b, func() kmsg.Request {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.Version = 2
		return q
	}())
	if len(cluster.Brokers) != 1 || cluster.Brokers[0].NodeID != 1 || cluster.ControllerID != 1 || len(cluster.ClusterID) != 22 ||
		cluster.Brokers[0].Rack == nil || *cluster.Brokers[0].Rack != "r1" || cluster.Brokers[0].Host != "localhost" {
		t.Errorf("cluster: %+v", cluster)
	}

	dirs := raw[*kmsg.DescribeLogDirsResponse](b, func() kmsg.Request {
		q := kmsg.NewPtrDescribeLogDirsRequest()
		q.Version = 4
		return q
	}()).Dirs
	if len(dirs) != 1 || dirs[0].Dir != b.dataDir || dirs[0].TotalBytes <= 0 || len(dirs[0].Topics) != 2 || dirs[0].Topics[0].Partitions[0].Size <= 0 {
		t.Errorf("log dirs: %+v", dirs)
	}

	quorum := raw[*kmsg.DescribeQuorumResponse](b, func() kmsg.Request {
		q := kmsg.NewPtrDescribeQuorumRequest()
		q.Version = 2
		qt := kmsg.NewDescribeQuorumRequestTopic()
		qt.Topic = metadataTopic
		qt.Partitions = append(qt.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
		q.Topics = append(q.Topics, qt)
		return q
	}())
	if p := quorum.Topics[0].Partitions[0]; p.LeaderID != 1 || p.HighWatermark <= 0 || len(p.CurrentVoters) != 1 || p.CurrentVoters[0].ReplicaDirectoryID == [16]byte{} {
		t.Errorf("quorum: %+v", p)
	}

	resources := raw[*kmsg.ListConfigResourcesResponse](b, func() kmsg.Request {
		q := kmsg.NewPtrListConfigResourcesRequest()
		q.Version, q.ResourceTypes = 1, []int8{2}
		return q
	}()).ConfigResources
	if len(resources) != 2 || resources[0].Name != "a" {
		t.Errorf("config resources: %+v", resources)
	}
}

func TestTopicPartitionsComeInPages(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("b", 5, nil)
	b.topic("a", 3, nil)
	var seen []string
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	q.ResponsePartitionLimit = 2
	for range 10 {
		r := raw[*kmsg.DescribeTopicPartitionsResponse](b, q)
		n := 0
		for _, topic := range r.Topics {
			for _, p := range topic.Partitions {
				if p.EligibleLeaderReplicas == nil || p.LastKnownELR == nil {
					t.Fatal("null where the Java client wants a list")
				}
				seen = append(seen, *topic.Topic+"-"+strconv.Itoa(int(p.Partition)))
				n++
			}
		}
		if n > 2 {
			t.Fatalf("%d partitions in a page of 2", n)
		}
		if r.NextCursor == nil {
			break
		}
		q.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: r.NextCursor.Topic, Partition: r.NextCursor.Partition}
	}
	if want := []string{"a-0", "a-1", "a-2", "b-0", "b-1", "b-2", "b-3", "b-4"}; !slices.Equal(seen, want) {
		t.Errorf("%v; want %v", seen, want)
	}
}

func TestMetadataTellsAllNoneOrUnknown(t *testing.T) {
	b := startBroker(t, map[string]string{"auto.create.topics.enable": "false"})
	b.topic("t", 2, nil)
	ask := func(version int16, topics []kmsg.MetadataRequestTopic) *kmsg.MetadataResponse {
		q := kmsg.NewPtrMetadataRequest()
		q.Version, q.Topics = version, topics
		return raw[*kmsg.MetadataResponse](b, q)
	}
	if r := ask(0, []kmsg.MetadataRequestTopic{}); len(r.Topics) != 1 {
		t.Errorf("v0, empty: %d topics; want all", len(r.Topics))
	}
	if r := ask(9, nil); len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 2 || r.Topics[0].Partitions[0].Leader != 1 {
		t.Errorf("v9, null: %+v; want all", r.Topics)
	}
	if r := ask(9, []kmsg.MetadataRequestTopic{}); len(r.Topics) != 0 {
		t.Errorf("v9, empty: %d topics; want none", len(r.Topics))
	}
	if r := ask(9, []kmsg.MetadataRequestTopic{{Topic: ptr("nowhere")}, {Topic: ptr("no/where")}}); r.Topics[0].ErrorCode != kerr.UnknownTopicOrPartition.Code || r.Topics[1].ErrorCode != kerr.InvalidTopicException.Code {
		t.Errorf("unknown and illegal: %+v", r.Topics)
	}
	id := b.meta.Image().Topic("t").ID
	if r := ask(12, []kmsg.MetadataRequestTopic{{TopicID: id}, {TopicID: [16]byte{9}}}); r.Topics[0].ErrorCode != 0 || *r.Topics[0].Topic != "t" || r.Topics[1].ErrorCode != kerr.UnknownTopicID.Code {
		t.Errorf("by id: %+v", r.Topics)
	}
}

func TestClientThatReachedAnotherBrokerIsTold(t *testing.T) {
	b := startBroker(t, nil)
	id, other := b.meta.Image().ClusterID(), "AAAAAAAAAAAAAAAAAAAAAA"
	for name, tc := range map[string]struct {
		cluster *string
		node    int32
		want    int16
	}{
		"nobody in mind": {nil, -1, 0}, "this broker": {&id, 1, 0}, "half an idea": {&id, -1, kerr.InvalidRequest.Code},
		"another node": {&id, 2, kerr.RebootstrapRequired.Code}, "another cluster": {&other, 1, kerr.RebootstrapRequired.Code},
	} {
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion, q.ClusterID, q.NodeID = 5, "test", "1", tc.cluster, tc.node
		if r := raw[*kmsg.ApiVersionsResponse](b, q); r.ErrorCode != tc.want || tc.want == 0 && len(r.ApiKeys) == 0 {
			t.Errorf("%s: %v, %d APIs", name, kerr.ErrorForCode(r.ErrorCode), len(r.ApiKeys))
		}
	}
}
