package cluster

func unknownBroker(id int32) error {
	return refuse(ErrUnknownBroker, "Broker ID %d is not currently registered", id)
}

// RegisterBroker decides on a broker's registration; one that is in place needs no record.
// Errors: ErrInvalidRequest, and ErrDuplicateBroker where the id belongs to another data
// directory: that broker must be unregistered first.
func RegisterBroker(i *Image, b Broker) ([]Record, error) {
	if b.ID < 0 {
		return nil, refuse(ErrInvalidRequest, "Broker id %d is negative.", b.ID)
	}
	old := i.Broker(b.ID)
	if old != nil && old.Identity != b.Identity {
		return nil, refuse(ErrDuplicateBroker, "Another broker is registered with that broker id: %d belongs to data directory %s, not to %s; unregister it first.", b.ID, old.Identity, b.Identity)
	}
	if old != nil && *old == b {
		return nil, nil
	}
	return []Record{BrokerRecord{b}}, nil
}

// FenceBroker decides on fencing a broker, or on the opposite; what is in place needs no record.
// Error: ErrUnknownBroker.
func FenceBroker(i *Image, id int32, fenced bool) ([]Record, error) {
	b := i.Broker(id)
	if b == nil {
		return nil, unknownBroker(id)
	}
	if b.Fenced == fenced {
		return nil, nil
	}
	return []Record{BrokerFenceRecord{ID: id, Fenced: fenced}}, nil
}

// UnregisterBroker decides on forgetting a broker. Error: ErrUnknownBroker.
func UnregisterBroker(i *Image, id int32) ([]Record, error) {
	if i.Broker(id) == nil {
		return nil, unknownBroker(id)
	}
	return []Record{BrokerRemovedRecord{id}}, nil
}
