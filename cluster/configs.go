package cluster

import "strconv"

// ConfigChange sets one setting, or removes it where Value is nil.
type ConfigChange struct {
	Name  string
	Value *string
}

// SetConfigs decides on settings of a resource, whose values are the caller's to validate; what
// is in place needs no record. Errors: ErrUnknownTopic, ErrUnknownBroker, ErrInvalidRequest.
func SetConfigs(i *Image, r Resource, changes []ConfigChange) ([]Record, error) {
	if err := checkResource(i, r); err != nil {
		return nil, err
	}
	var records []Record
	now := i.Config(r)
	for _, c := range changes {
		old, set := now[c.Name]
		if c.Value == nil && !set || c.Value != nil && set && old == *c.Value {
			continue
		}
		records = append(records, ConfigRecord{Resource: r, Name: c.Name, Value: c.Value})
		now = withConfig(now, c.Name, c.Value)
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
		return refuse(ErrUnknownBroker, "No node with id %d found.", id)
	}
	return nil
}
