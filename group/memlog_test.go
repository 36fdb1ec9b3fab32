package group

// testTopics are a few topics of three partitions; ids are made from names.
type testTopics map[string]int32

var someTopics = testTopics{"orders": 3, "payments": 3, "audit": 3}

func testID(name string) (id TopicID) { copy(id[:], "id of "+name); return id }

func (t testTopics) Topic(name string) (TopicID, int32, bool) {
	n, ok := t[name]
	if !ok {
		return TopicID{}, 0, false
	}
	return testID(name), n, true
}

func (t testTopics) TopicByID(id TopicID) (string, int32, bool) {
	for name, n := range t {
		if testID(name) == id {
			return name, n, true
		}
	}
	return "", 0, false
}

func (t testTopics) OffsetsPartitions() int32 { return 1 }
