package broker

import (
	"maps"

	"quorumlog/cluster"
)

// applySettings puts the settings that the metadata holds for all brokers, and for this one, on
// top of those given at start.
func (b *Broker) applySettings(im *cluster.Image) {
	b.settings.SetDynamic(im.Config(cluster.ClusterDefault), im.Config(cluster.BrokerConfig(b.id)))
	b.applyLimits()
}

// settingsChanged reports whether a change of the metadata touches this broker's settings.
func settingsChanged(old, now *cluster.Image, id int32) bool {
	for _, r := range []cluster.Resource{cluster.ClusterDefault, cluster.BrokerConfig(id)} {
		if !maps.Equal(old.Config(r), now.Config(r)) {
			return true
		}
	}
	return false
}
