package group

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteMessage is the DeleteGroups version from which an error has a message.
const deleteMessage = 3

// DeleteGroups answers versions 0-3. It waits until the deletions are committed.
func (c *Coordinator) DeleteGroups(req *kmsg.DeleteGroupsRequest, resp *kmsg.DeleteGroupsResponse) (wait func(context.Context)) {
	ids := slices.Compact(slices.Sorted(slices.Values(req.Groups)))
	resp.Groups = make([]kmsg.DeleteGroupsResponseGroup, len(ids))
	var waits []func(context.Context)
	for i, id := range ids {
		r := &resp.Groups[i]
		r.Default()
		r.Group = id
		if w := c.deleteGroup(r); w != nil {
			waits = append(waits, w)
		}
	}
	if len(waits) == 0 {
		deleteMessages(resp)
		return nil
	}
	return func(ctx context.Context) {
		for _, w := range waits {
			w(ctx)
		}
		deleteMessages(resp)
	}
}

// deleteGroup deletes one group, if it has no members, with its offsets.
func (c *Coordinator) deleteGroup(r *kmsg.DeleteGroupsResponseGroup) func(context.Context) {
	s, code := c.enter(r.Group)
	if code != none {
		r.ErrorCode = code
		return nil
	}
	defer s.mu.Unlock()
	w, id := newWaiter(&s.mu, r), strings.Clone(r.Group)
	var dead *group
	s.submit(&write{
		decide: func() []keyValue {
			g := s.group(id)
			if code := checkDelete(g); code != none {
				w.answer(func(r *kmsg.DeleteGroupsResponseGroup) { r.ErrorCode = code })
				return nil
			}
			dead = g
			return g.kill()
		},
		done: func(err error) {
			s.killed(dead, err)
			w.answer(func(r *kmsg.DeleteGroupsResponseGroup) { r.ErrorCode = appendCode(err) })
		},
	})
	return w.waitAtMost(c.opts.CommitTimeout, func(r *kmsg.DeleteGroupsResponseGroup) { r.ErrorCode = coordinatorNotAvailable })
}

func checkDelete(g *group) int16 {
	switch {
	case g == nil || g.state == Dead:
		return groupIDNotFound
	case g.state != Empty:
		return nonEmptyGroup
	}
	return none
}

// kill marks a group as being deleted and returns the records that do it. Until they are
// committed nobody can join or commit.
func (g *group) kill() []keyValue {
	g.state = Dead
	for id := range g.pending {
		g.removePending(id)
	}
	var records []keyValue
	for topic, parts := range g.offsets {
		for i := range parts {
			records = append(records, keyValue{key: offsetKey(g.id, topic, parts[i].partition)})
		}
	}
	for p := range g.unstable {
		if g.offsets[p.topic].get(p.partition) == nil {
			records = append(records, keyValue{key: offsetKey(g.id, p.topic, p.partition)})
		}
	}
	return append(records, keyValue{key: groupKey(g.id)})
}

// killed ends what kill began: the group, if there was one, is gone, or as it was before.
func (s *shard) killed(g *group, err error) {
	if g == nil || s.phase != active {
		return
	}
	if err != nil {
		g.state = Empty
	}
	s.image.dropIfVoid(g)
}

// deleteMessages says in words what the errors are.
func deleteMessages(resp *kmsg.DeleteGroupsResponse) {
	if resp.Version < deleteMessage {
		return
	}
	for i := range resp.Groups {
		switch r := &resp.Groups[i]; r.ErrorCode {
		case groupIDNotFound:
			r.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("Group %s not found.", r.Group))
		case nonEmptyGroup:
			r.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("Group %s is not empty.", r.Group))
		}
	}
}
