package cluster

import "slices"

func unknownBroker(id int32) error {
	return refuse(ErrUnknownBroker, "Broker ID %d is not currently registered", id)
}

// RegisterBroker decides on the registration of a broker that has started, which ends its being
// fenced; a registration that is in place needs no record. A fenced broker's id is open to another
// data directory: that of a node which lost its disk and begins anew. Errors: ErrInvalidRequest,
// and ErrDuplicateBroker where the id belongs to another data directory whose broker runs.
func RegisterBroker(i *Image, b Broker) ([]Record, error) {
	switch {
	case b.ID < 0:
		return nil, refuse(ErrInvalidRequest, "Broker id %d is negative.", b.ID)
	case b.Identity == "":
		return nil, refuse(ErrInvalidRequest, "Broker %d names no data directory.", b.ID)
	}
	b.Fenced = false
	old := i.Broker(b.ID)
	if old != nil && old.Identity != b.Identity && !old.Fenced {
		return nil, refuse(ErrDuplicateBroker, "Another broker is registered with that broker id: %d belongs to data directory %s, whose broker is running, and not to %s; stop that one first, or choose another id.", b.ID, old.Identity, b.Identity)
	}
	if old != nil && *old == b {
		return nil, nil
	}
	return []Record{BrokerRecord{b}}, nil
}

// FenceBroker decides on fencing a broker that is gone; what is in place needs no record. Error:
// ErrUnknownBroker.
func FenceBroker(i *Image, id int32) ([]Record, error) { return fence(i, id, true) }

// UnfenceBroker decides on the opposite of FenceBroker.
func UnfenceBroker(i *Image, id int32) ([]Record, error) { return fence(i, id, false) }

func fence(i *Image, id int32, fenced bool) ([]Record, error) {
	b := i.Broker(id)
	if b == nil {
		return nil, unknownBroker(id)
	}
	if b.Fenced == fenced {
		return nil, nil
	}
	return []Record{BrokerFenceRecord{ID: id, Fenced: fenced}}, nil
}

// UnregisterBroker decides on forgetting a broker. Errors: ErrUnknownBroker, ErrBrokerInUse.
func UnregisterBroker(i *Image, id int32) ([]Record, error) {
	if i.Broker(id) == nil {
		return nil, unknownBroker(id)
	}
	if n := i.replicasOf(id); n > 0 {
		return nil, refuse(ErrBrokerInUse, "Broker %d still has %d replica(s): reassign these partitions to other brokers, or delete their topics, before it is unregistered.", id, n)
	}
	return []Record{BrokerRemovedRecord{id}}, nil
}

// replicasOf counts the replicas that are placed on a broker.
func (i *Image) replicasOf(id int32) (n int) {
	for _, t := range i.topics {
		for _, p := range t.Partitions {
			if slices.Contains(p.Replicas, id) {
				n++
			}
		}
	}
	return n
}
