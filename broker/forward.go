package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// controllerHandler decides a request on the node that leads the metadata.
type controllerHandler func(ctx context.Context, req kmsg.Request, resp kmsg.Response) error

// onController serves an API whose decisions are the controller's: any broker takes the request
// and hands it on whole, as Kafka's do (KIP-590).
func onController[Q kmsg.Request, S kmsg.Response](b *Broker, min, max int16, fn func(context.Context, Q, S) error) protocol.API {
	decidedByController(b, fn)
	return protocol.Serve(min, max, func(ctx context.Context, req Q, resp S) error {
		return b.decide(ctx, req, resp)
	})
}

// decidedByController registers what the controller decides.
func decidedByController[Q kmsg.Request, S kmsg.Response](b *Broker, fn func(context.Context, Q, S) error) {
	if b.controllerHandlers == nil {
		b.controllerHandlers = map[int16]controllerHandler{}
	}
	var q Q
	b.controllerHandlers[q.Key()] = func(ctx context.Context, req kmsg.Request, resp kmsg.Response) error {
		return fn(ctx, req.(Q), resp.(S))
	}
}

// registerInternal registers what brokers alone ask the controller for, in Kafka's own requests.
func (b *Broker) registerInternal() {
	decidedByController(b, b.brokerRegistration)
	decidedByController(b, b.allocateProducerIDs)
	decidedByController(b, b.createMissingTopics)
	decidedByController(b, b.alterPartition)
}

// forwardTimeout bounds how long a request looks for a controller.
const forwardTimeout = 10 * time.Second

// The pauses between two attempts: to reach a controller that is known, or a node that may know it;
// and while there is neither, unless something turns before.
const (
	forwardPause = 50 * time.Millisecond
	nobodyPause  = time.Second
)

// decide has a request decided by the controller, this node or another. Without a controller the
// local handler answers, in the API's own form, that there is none.
func (b *Broker) decide(ctx context.Context, req kmsg.Request, resp kmsg.Response) error {
	local := b.controllerHandlers[req.Key()]
	deadline := time.Now().Add(forwardTimeout)
	for {
		turned, pause := b.controllerTurned.next(), nobodyPause
		node, _ := b.meta.Leader()
		if b.meta.IsLeader() || node != b.id && time.Now().After(deadline) {
			return local(ctx, req, resp)
		}
		for _, to := range b.controllerCandidates(node) {
			err := b.forward(ctx, to, req, resp)
			if err == nil {
				return nil
			}
			pause = forwardPause
			b.log.Debug("the controller did not answer", "controller", to, "request", kmsg.NameForKey(req.Key()), "err", err)
		}
		select {
		case <-turned:
		case <-time.After(pause):
		case <-ctx.Done():
			return local(ctx, req, resp)
		}
	}
}

// controllerCandidates are the nodes to try: the controller where it is known, else whoever is
// connected. A node that is not a member of the metadata group yet knows of no controller.
func (b *Broker) controllerCandidates(leader int32) (ids []int32) {
	if leader >= 0 {
		return slices.DeleteFunc([]int32{leader}, func(id int32) bool { return id == b.id })
	}
	for _, id := range b.memberIDs(b.meta.Image()) {
		if _, connected := b.peers.Connected(id); connected && id != b.id {
			ids = append(ids, id)
		}
	}
	return ids
}

// forward sends a request to the controller and waits until this node's own image holds what the
// answer speaks of.
func (b *Broker) forward(ctx context.Context, to int32, req kmsg.Request, resp kmsg.Response) error {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	payload := binary.BigEndian.AppendUint16(nil, uint16(req.Key()))
	payload = binary.BigEndian.AppendUint16(payload, uint16(req.GetVersion()))
	answer, err := b.peers.Ask(ctx, to, serviceController, req.AppendTo(payload))
	if err != nil {
		return err
	}
	if len(answer) < 8 {
		return errors.New("the controller's answer is too short")
	}
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(answer[8:]); err != nil {
		return fmt.Errorf("the controller's answer: %w", err)
	}
	b.awaitImage(ctx, binary.BigEndian.Uint64(answer))
	return nil
}

// imageWait bounds how long an answer is held back until this node knows what it says.
const imageWait = 2 * time.Second

func (b *Broker) awaitImage(ctx context.Context, index uint64) {
	if b.meta.Image().Index() >= index {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, imageWait)
	defer cancel()
	_, _ = b.meta.Await(ctx, func(im *cluster.Image) bool { return im.Index() >= index })
}

// control answers what other nodes forward: [API key int16][version int16][request]; the answer
// is [image index uint64][response].
func (b *Broker) control(ctx context.Context, _ int32, payload []byte) ([]byte, error) {
	if len(payload) < 4 {
		return nil, errors.New("a forwarded request is too short")
	}
	key, version := int16(binary.BigEndian.Uint16(payload)), int16(binary.BigEndian.Uint16(payload[2:]))
	handle := b.controllerHandlers[key]
	if handle == nil {
		return nil, fmt.Errorf("requests of API key %d are not the controller's", key)
	}
	if b.image() == nil || !b.meta.IsLeader() {
		return nil, cluster.ErrNotController
	}
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	if err := req.ReadFrom(payload[4:]); err != nil {
		return nil, fmt.Errorf("a forwarded %s: %w", kmsg.NameForKey(key), err)
	}
	resp := req.ResponseKind()
	if err := handle(ctx, req, resp); err != nil {
		return nil, err
	}
	return resp.AppendTo(binary.BigEndian.AppendUint64(nil, b.meta.Image().Index())), nil
}
