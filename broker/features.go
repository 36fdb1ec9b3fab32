package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// transactionVersion is the feature by which clients learn how to take part in transactions: from
// level 2 on each one has an epoch of its own (KIP-890). A new cluster begins with the highest level.
const (
	transactionVersion    = "transaction.version"
	maxTransactionVersion = 2
)

// features are those of the cluster as ApiVersions tells them.
func features(im *cluster.Image) protocol.Features {
	f := protocol.Features{FinalizedEpoch: int64(im.Index())}
	supported := kmsg.NewApiVersionsResponseSupportedFeature()
	supported.Name, supported.MaxVersion = transactionVersion, maxTransactionVersion
	f.Supported = append(f.Supported, supported)
	if level := im.Feature(transactionVersion); level > 0 {
		finalized := kmsg.NewApiVersionsResponseFinalizedFeature()
		finalized.Name, finalized.MinVersionLevel, finalized.MaxVersionLevel = transactionVersion, level, level
		f.Finalized = append(f.Finalized, finalized)
	}
	return f
}
