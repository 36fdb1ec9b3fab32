package cluster

import "strconv"

// SetConfigs is the decision on settings of a resource. Their values are the caller's to
// validate.
type SetConfigs struct {
	Resource Resource
	Changes  []ConfigChange
}

// ConfigChange sets one setting, or removes it where Value is nil.
type ConfigChange struct {
	Name  string
	Value *string
}

// Decide returns the changes that are not in place yet. Errors: ErrUnknownTopic,
// ErrUnknownBroker, ErrInvalidRequest.
func (c SetConfigs) Decide(i *Image) ([]Record, error) {
	if err := checkResource(i, c.Resource); err != nil {
		return nil, err
	}
	var records []Record
	current := i.Config(c.Resource)
	for _, change := range c.Changes {
		old, set := current[change.Name]
		if change.Value == nil && !set || change.Value != nil && set && old == *change.Value {
			continue
		}
		records = append(records, ConfigRecord{Resource: c.Resource, Name: change.Name, Value: change.Value})
	}
	return records, nil
}

func checkResource(i *Image, r Resource) error {
	switch r.Type {
	case TopicResource:
		if i.Topic(r.Name) == nil {
			return refuse(ErrUnknownTopic, "The topic '%s' does not exist.", r.Name)
		}
	case BrokerResource:
		return checkBrokerResource(i, r.Name)
	case GroupResource, ClientMetricsResource:
		if r.Name == "" {
			return refuse(ErrInvalidRequest, "Default resources are not allowed for this resource type.")
		}
	default:
		return refuse(ErrInvalidRequest, "Unexpected resource type %d.", r.Type)
	}
	return nil
}

func checkBrokerResource(i *Image, name string) error {
	if name == "" {
		return nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil || strconv.FormatInt(id, 10) != name {
		return refuse(ErrInvalidRequest, "Invalid broker name %s", name)
	}
	if i.Broker(int32(id)) == nil {
		return unknownBroker(int32(id))
	}
	return nil
}
