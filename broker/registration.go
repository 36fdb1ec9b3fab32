package broker

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
)

// Names of a broker's listeners in its registration.
const (
	clientListener = "PLAINTEXT"
	peerListener   = "RAFT"
)

// registrationPause is between two attempts to register.
const registrationPause = 100 * time.Millisecond

// duplicatePatience is how long a node waits for another one with its id to be found gone.
const duplicatePatience = 5 * time.Second

// register tells the controller that this broker runs, and returns once this node's own image
// holds that, and so everything from before: only then is it known which files are still wanted.
func (b *Broker) register(ctx context.Context, me cluster.Broker) error {
	req, err := registrationRequest(me)
	if err != nil {
		return err
	}
	begin := time.Now()
	for {
		resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
		if err := b.decide(ctx, req, resp); err != nil {
			return err
		}
		switch resp.ErrorCode {
		case 0:
			_, err := b.meta.Await(ctx, func(im *cluster.Image) bool { return int64(im.Index()) >= resp.BrokerEpoch })
			return err
		case kerr.DuplicateBrokerRegistration.Code:
			if time.Since(begin) < duplicatePatience {
				break // the one that lost its disk may not be known to be gone yet
			}
			return fmt.Errorf("node %d is registered with another data directory, and runs: give this one another --node-id, or stop that one first", me.ID)
		case kerr.NotController.Code, kerr.RequestTimedOut.Code:
		default:
			return fmt.Errorf("the controller refuses this broker: %w", kerr.ErrorForCode(resp.ErrorCode))
		}
		select {
		case <-time.After(registrationPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// registrationRequest is a broker's registration as Kafka's brokers send it (KIP-631). The
// data directory's identity goes as a log directory.
func registrationRequest(me cluster.Broker) (*kmsg.BrokerRegistrationRequest, error) {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.SetVersion(2)
	req.BrokerID = me.ID
	if me.Rack != "" {
		req.Rack = &me.Rack
	}
	incarnation, err := cluster.ParseTopicID(me.Incarnation)
	if err != nil {
		return nil, err
	}
	req.IncarnationID = incarnation
	req.LogDirs = [][16]byte{directoryID(me.Identity)}
	req.Listeners = append(req.Listeners, kmsg.BrokerRegistrationRequestListener{Name: clientListener, Host: me.Host, Port: uint16(me.Port)})
	if me.RaftAddress == "" {
		return req, nil
	}
	host, port, err := splitAddress(me.RaftAddress)
	if err != nil {
		return nil, err
	}
	req.Listeners = append(req.Listeners, kmsg.BrokerRegistrationRequestListener{Name: peerListener, Host: host, Port: port})
	return req, nil
}

func splitAddress(addr string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err
}

// brokerRegistration is the controller's side.
func (b *Broker) brokerRegistration(ctx context.Context, req *kmsg.BrokerRegistrationRequest, resp *kmsg.BrokerRegistrationResponse) error {
	in := cluster.Broker{ID: req.BrokerID, Incarnation: cluster.TopicID(req.IncarnationID).String()}
	if len(req.LogDirs) != 1 {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return nil
	}
	in.Identity = cluster.TopicID(req.LogDirs[0]).String()
	if req.Rack != nil {
		in.Rack = *req.Rack
	}
	for _, l := range req.Listeners {
		switch l.Name {
		case clientListener:
			in.Host, in.Port = l.Host, int32(l.Port)
		case peerListener:
			in.RaftAddress = net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port)))
		}
	}
	im, err := b.meta.Change(ctx, func(im *cluster.Image) ([]cluster.Record, error) {
		return cluster.RegisterBroker(im, in)
	})
	if err != nil {
		resp.ErrorCode = code(err)
		return nil
	}
	resp.BrokerEpoch = int64(im.Index())
	return nil
}

// allocateProducerIDs is the controller's side of a broker's next block of producer ids.
func (b *Broker) allocateProducerIDs(ctx context.Context, _ *kmsg.AllocateProducerIDsRequest, resp *kmsg.AllocateProducerIDsResponse) error {
	first, err := b.meta.AllocateProducerIDs(ctx, cluster.ProducerIDBlock)
	resp.ErrorCode, resp.ProducerIDStart, resp.ProducerIDLen = code(err), first, cluster.ProducerIDBlock
	return nil
}

// takeProducerIDs gets this broker's next block.
func (b *Broker) takeProducerIDs(ctx context.Context) (first, n int64, err error) {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID = b.id
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	if err := b.decide(ctx, req, resp); err != nil {
		return 0, 0, err
	}
	return resp.ProducerIDStart, int64(resp.ProducerIDLen), kerr.ErrorForCode(resp.ErrorCode)
}
