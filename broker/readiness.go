package broker

import (
	"fmt"

	"quorumlog/cluster"
)

// readiness is what /readyz answers.
type readiness struct {
	Node  int32 `json:"node"`
	Ready bool  `json:"ready"`
	// Reasons are why the node is not ready.
	Reasons []string `json:"reasons"`
	// Degraded is what is wrong while the node serves all the same: sending clients elsewhere
	// would not help.
	Degraded []string `json:"degraded"`
}

// readiness looks at the node as it is now.
func (b *Broker) readiness() readiness {
	r := readiness{Node: b.id, Reasons: []string{}, Degraded: []string{}}
	if b.serving.Load() {
		b.judge(&r, b.meta.Image())
	} else {
		r.Reasons = append(r.Reasons, *b.phase.Load())
	}
	r.Ready = len(r.Reasons) == 0
	return r
}

// enter tells operators what a start is at.
func (b *Broker) enter(format string, args ...any) {
	phase := fmt.Sprintf(format, args...)
	b.phase.Store(&phase)
}

func (b *Broker) judge(r *readiness, im *cluster.Image) {
	if node, _ := b.meta.Leader(); node < 0 {
		r.Degraded = append(r.Degraded, "there is no controller: a majority of the voters must run")
	}
	if me := im.Broker(b.id); me == nil || me.Fenced {
		r.Reasons = append(r.Reasons, "this node is fenced: the others do not reach it")
	}
	if b.disk.full() {
		r.Degraded = append(r.Degraded, "the disk is nearly full: producers are refused until there is room")
	}
	var opening, leaderless, failed int
	for _, x := range b.replicas.list() {
		switch p, err := x.status(); {
		case err != nil:
			if failed++; failed <= maxReasons {
				r.Degraded = append(r.Degraded, fmt.Sprintf("%s-%d is not served: %v", x.topic, x.key.partition, err))
			}
		case p == nil:
			opening++
		case b.leaders.get(x.key).node < 0:
			leaderless++
		}
	}
	if failed > maxReasons {
		r.Degraded = append(r.Degraded, fmt.Sprintf("%d more replicas are not served", failed-maxReasons))
	}
	if opening > 0 {
		r.Reasons = append(r.Reasons, fmt.Sprintf("%d replicas are being opened", opening))
	}
	if leaderless > 0 {
		r.Degraded = append(r.Degraded, fmt.Sprintf("%d partitions have no leader", leaderless))
	}
}

// maxReasons bounds how many replicas /readyz names.
const maxReasons = 20
