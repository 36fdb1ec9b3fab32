package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// DescribeLogDirs (key 35), versions 1–5. A broker has one data directory; sizes are of this
// broker's replicas.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(1, 5, b.describeLogDirs) })

func (b *Broker) describeLogDirs(_ context.Context, req *kmsg.DescribeLogDirsRequest, resp *kmsg.DescribeLogDirsResponse) error {
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = b.dataDir
	if total, free, err := diskSpace(b.dataDir); err == nil {
		dir.TotalBytes, dir.UsableBytes = total, free
	}
	im := b.meta.Image()
	if req.Topics == nil {
		for _, t := range im.Topics() {
			b.addSizes(&dir, t, nil)
		}
	}
	for i := range req.Topics {
		if t := im.Topic(req.Topics[i].Topic); t != nil {
			b.addSizes(&dir, t, req.Topics[i].Partitions)
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	return nil
}

// addSizes adds the topic's replicas on this node; nil partitions means all.
func (b *Broker) addSizes(dir *kmsg.DescribeLogDirsResponseDir, t *cluster.Topic, partitions []int32) {
	out := kmsg.NewDescribeLogDirsResponseDirTopic()
	out.Topic = t.Name
	add := func(id int32) {
		x := b.replicas.get(t.ID, id)
		if x == nil {
			return
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition = id
		if open := x.partition(); open != nil {
			p.Size = open.Size()
			p.OffsetLag = max(open.HighWatermark()-open.EndOffset(), 0)
		}
		out.Partitions = append(out.Partitions, p)
	}
	if partitions == nil {
		for i := range t.Partitions {
			add(int32(i))
		}
	}
	for _, id := range partitions {
		add(id)
	}
	if len(out.Partitions) > 0 {
		dir.Topics = append(dir.Topics, out)
	}
}
