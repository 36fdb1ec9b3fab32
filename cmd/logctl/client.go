package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// dialTimeout bounds one attempt to connect.
const dialTimeout = 5 * time.Second

// options are what every client of a command has in common.
func (a *app) options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(a.bootstrap...),
		kgo.ClientID("logctl"),
		kgo.SoftwareNameAndVersion("logctl", softwareVersion()),
		kgo.DialTimeout(min(dialTimeout, a.timeout)),
		kgo.RetryTimeout(a.timeout),
		kgo.MetadataMinAge(100 * time.Millisecond),
	}, more...)
}

// connect returns a client after a broker has answered. The caller closes it.
func (a *app) connect(ctx context.Context) (*kgo.Client, error) {
	cl, err := kgo.NewClient(a.options()...)
	if err != nil {
		return nil, usage("%v", err)
	}
	if err := a.ping(ctx, cl); err != nil {
		cl.Close()
		return nil, err
	}
	return cl, nil
}

// admin is cl for administration.
func (a *app) admin(cl *kgo.Client) *kadm.Client {
	adm := kadm.NewClient(cl)
	adm.SetTimeoutMillis(int32(min(a.timeout, time.Hour) / time.Millisecond))
	return adm
}

// ping makes sure that a broker answers, so that everything after can speak of what it said.
func (a *app) ping(ctx context.Context, cl *kgo.Client) error {
	limited, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	if err := cl.Ping(limited); err != nil {
		return a.diagnose(ctx, err)
	}
	return nil
}

// withClient runs do with a connected client.
func (a *app) withClient(ctx context.Context, do func(context.Context, *kgo.Client) error) error {
	cl, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	return do(ctx, cl)
}

// withAdmin runs do with a connected client for administration.
func (a *app) withAdmin(ctx context.Context, do func(context.Context, *kadm.Client) error) error {
	return a.withClient(ctx, func(ctx context.Context, cl *kgo.Client) error { return do(ctx, a.admin(cl)) })
}

// retryStep is how long to wait before a request that was refused for the moment is repeated.
const retryStep = 100 * time.Millisecond

// patiently repeats a request while the broker says that it cannot answer yet, as a group's
// coordinator does on its first use, for as long as --timeout allows.
func patiently[T any](ctx context.Context, a *app, request func() (T, error)) (T, error) {
	for begun := time.Now(); ; {
		answer, err := request()
		if !kerr.IsRetriable(err) || time.Since(begun) > a.timeout {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, ctx.Err()
		case <-time.After(retryStep):
		}
	}
}

// offsets returns what a group committed: nothing where there is no such group.
func (a *app) offsets(ctx context.Context, adm *kadm.Client, group string) (kadm.OffsetResponses, error) {
	answer, err := patiently(ctx, a, func() (kadm.OffsetResponses, error) { return adm.FetchOffsets(ctx, group) })
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, a.explain(err, "read the offsets of group "+group)
	}
	return answer, nil
}

// quiet is an app for completion: it says nothing and does not wait long.
func (a *app) quiet() *app {
	b := *a
	b.err, b.timeout = io.Discard, time.Second
	return &b
}
