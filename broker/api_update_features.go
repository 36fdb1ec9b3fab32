package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// UpdateFeatures (key 57), versions 0–2 (KIP-584): all updates or none. The one feature is
// transaction.version.
var _ = route(func(b *Broker) protocol.API { return onController(b, 0, 2, b.updateFeatures) })

// upgradeOnly is the type of an update that must not lower a level.
const upgradeOnly = 1

func (b *Broker) updateFeatures(ctx context.Context, req *kmsg.UpdateFeaturesRequest, resp *kmsg.UpdateFeaturesResponse) error {
	_, err := b.change(ctx, req.Version >= 1 && req.ValidateOnly, func(im *cluster.Image) ([]cluster.Record, error) {
		var records []cluster.Record
		for i := range req.FeatureUpdates {
			u := &req.FeatureUpdates[i]
			if err := checkUpdate(im, u, req.Version); err != nil {
				return nil, err
			}
			if level := max(u.MaxVersionLevel, 0); level != im.Feature(u.Feature) {
				records = append(records, cluster.FeatureRecord{Name: u.Feature, Level: level})
			}
		}
		return records, nil
	})
	resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
	if req.Version < 2 {
		for i := range req.FeatureUpdates {
			r := kmsg.NewUpdateFeaturesResponseResult()
			r.Feature, r.ErrorCode, r.ErrorMessage = req.FeatureUpdates[i].Feature, resp.ErrorCode, resp.ErrorMessage
			resp.Results = append(resp.Results, r)
		}
	}
	return nil
}

func checkUpdate(im *cluster.Image, u *kmsg.UpdateFeaturesRequestFeatureUpdate, version int16) error {
	now := im.Feature(u.Feature)
	mayLower := u.UpgradeType > upgradeOnly
	if version == 0 {
		mayLower = u.AllowDowngrade
	}
	switch {
	case u.Feature != transactionVersion:
		return refuse(kerr.InvalidUpdateVersion, fmt.Sprintf("The cluster does not have the feature %s.", u.Feature))
	case u.MaxVersionLevel > maxTransactionVersion:
		return refuse(kerr.InvalidUpdateVersion, fmt.Sprintf("Level %d of %s is not supported: the highest is %d.", u.MaxVersionLevel, u.Feature, maxTransactionVersion))
	case u.MaxVersionLevel < now && !mayLower:
		return refuse(kerr.InvalidUpdateVersion, fmt.Sprintf("%s has level %d: an upgrade cannot lower it.", u.Feature, now))
	}
	return nil
}
