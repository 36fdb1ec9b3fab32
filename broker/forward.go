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
	handle(&b.controllerHandlers, fn)
}

// handle puts fn into a table by its request's API key.
func handle[Q kmsg.Request, S kmsg.Response](table *map[int16]controllerHandler, fn func(context.Context, Q, S) error) {
	if *table == nil {
		*table = map[int16]controllerHandler{}
	}
	var q Q
	(*table)[q.Key()] = func(ctx context.Context, req kmsg.Request, resp kmsg.Response) error {
		return fn(ctx, req.(Q), resp.(S))
	}
}

// registerInternal registers what brokers alone ask the controller for, in Kafka's own requests.
func (b *Broker) registerInternal() {
	decidedByController(b, b.brokerRegistration)
	decidedByController(b, b.allocateProducerIDs)
	decidedByController(b, b.createMissingTopics)
	decidedByController(b, b.alterPartition)
	handle(&b.brokerHandlers, b.addPartitionsForBroker)
	handle(&b.brokerHandlers, b.writeTxnMarkers)
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
	answer, err := b.peers.Ask(ctx, to, serviceController, appendRequest(req))
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

// appendRequest is a request as nodes hand it on: [API key int16][version int16][request].
func appendRequest(req kmsg.Request) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(req.Key()))
	return req.AppendTo(binary.BigEndian.AppendUint16(b, uint16(req.GetVersion())))
}

// parseRequest reads what appendRequest has written, where the table has a handler for it.
func parseRequest(table map[int16]controllerHandler, payload []byte) (kmsg.Request, controllerHandler, error) {
	if len(payload) < 4 {
		return nil, nil, errors.New("a forwarded request is too short")
	}
	key, version := int16(binary.BigEndian.Uint16(payload)), int16(binary.BigEndian.Uint16(payload[2:]))
	handler := table[key]
	if handler == nil {
		return nil, nil, fmt.Errorf("requests of API key %d are not taken from nodes", key)
	}
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	if err := req.ReadFrom(payload[4:]); err != nil {
		return nil, nil, fmt.Errorf("a forwarded %s: %w", kmsg.NameForKey(key), err)
	}
	return req, handler, nil
}

// control answers what other nodes forward to the controller: [image index uint64][response].
func (b *Broker) control(ctx context.Context, _ int32, payload []byte) ([]byte, error) {
	req, handler, err := parseRequest(b.controllerHandlers, payload)
	if err != nil {
		return nil, err
	}
	if b.image() == nil || !b.meta.IsLeader() {
		return nil, cluster.ErrNotController
	}
	resp := req.ResponseKind()
	if err := handler(ctx, req, resp); err != nil {
		return nil, err
	}
	return resp.AppendTo(binary.BigEndian.AppendUint64(nil, b.meta.Image().Index())), nil
}

// askBroker has a request of Kafka's, which brokers send each other, answered by a node: this one
// without a detour.
func (b *Broker) askBroker(ctx context.Context, to int32, req kmsg.Request, resp kmsg.Response) error {
	resp.SetVersion(req.GetVersion())
	if to == b.id {
		return b.brokerHandlers[req.Key()](ctx, req, resp)
	}
	answer, err := b.peers.Ask(ctx, to, serviceBroker, appendRequest(req))
	if err != nil {
		return err
	}
	if err := resp.ReadFrom(answer); err != nil {
		return fmt.Errorf("node %d's answer to %s: %w", to, kmsg.NameForKey(req.Key()), err)
	}
	return nil
}

// onBrokerRequest answers askBroker of another node with the response.
func (b *Broker) onBrokerRequest(ctx context.Context, _ int32, payload []byte) ([]byte, error) {
	req, handler, err := parseRequest(b.brokerHandlers, payload)
	if err != nil {
		return nil, err
	}
	if !b.serving.Load() {
		return nil, errors.New("the node is starting")
	}
	resp := req.ResponseKind()
	if err := handler(ctx, req, resp); err != nil {
		return nil, err
	}
	return resp.AppendTo(nil), nil
}
