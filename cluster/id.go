package cluster

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
)

// TopicID names one life of a topic: a topic that is deleted and created again has another.
type TopicID [16]byte

// String is Kafka's form: url-safe base64 without padding, 22 characters.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// IsZero reports whether the id is the one that means "none".
func (id TopicID) IsZero() bool { return id == TopicID{} }

// ParseTopicID is String's inverse.
func ParseTopicID(s string) (TopicID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(TopicID{}) {
		return TopicID{}, fmt.Errorf("%q is not a topic id: 22 characters of url-safe base64 expected", s)
	}
	return TopicID(b), nil
}

// NewTopicID returns a random (version 4) id; nil stands for the process's own random source.
// It is never one of Kafka's reserved ids, and its text never begins with a dash, which command
// lines would take for an option.
func NewTopicID(rnd *rand.Rand) TopicID {
	for {
		id := randomID(rnd)
		if id.String()[0] != '-' {
			return id
		}
	}
}

// NewClusterID returns a random cluster id in Kafka's form.
func NewClusterID(rnd *rand.Rand) string { return NewTopicID(rnd).String() }

// randomID sets the version and variant bits, so the reserved ids (0 and 1) cannot come out.
func randomID(rnd *rand.Rand) TopicID {
	var id TopicID
	for i := range id {
		id[i] = byte(uint32n(rnd, 256))
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// uint32n draws from rnd, or from the process's own source where it is nil.
func uint32n(rnd *rand.Rand, n uint32) uint32 {
	if rnd == nil {
		return rand.Uint32N(n)
	}
	return rnd.Uint32N(n)
}
