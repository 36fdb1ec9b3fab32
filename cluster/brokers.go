package cluster

func unknownBroker(id int32) error {
	return refuse(ErrUnknownBroker, "No broker with id %d found.", id)
}

// RegisterBroker is the decision on a broker's registration.
type RegisterBroker struct{ Broker Broker }

// Decide returns the registration, or nothing where it is there already. Errors:
// ErrInvalidRequest, and ErrDuplicateBroker where the id belongs to another data directory: that
// broker must be unregistered first.
func (c RegisterBroker) Decide(i *Image) ([]Record, error) {
	b := c.Broker
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

// FenceBroker is the decision on fencing a broker, or on the opposite.
type FenceBroker struct {
	ID     int32
	Fenced bool
}

// Decide returns the change, or nothing where it is in place. Error: ErrUnknownBroker.
func (c FenceBroker) Decide(i *Image) ([]Record, error) {
	b := i.Broker(c.ID)
	if b == nil {
		return nil, unknownBroker(c.ID)
	}
	if b.Fenced == c.Fenced {
		return nil, nil
	}
	return []Record{BrokerFenceRecord(c)}, nil
}

// UnregisterBroker is the decision on forgetting a broker.
type UnregisterBroker struct{ ID int32 }

// Decide returns the removal. Error: ErrUnknownBroker.
func (c UnregisterBroker) Decide(i *Image) ([]Record, error) {
	if i.Broker(c.ID) == nil {
		return nil, unknownBroker(c.ID)
	}
	return []Record{BrokerRemovedRecord(c)}, nil
}
