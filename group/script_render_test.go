package group

import (
	"fmt"
	"sort"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var codeNames = map[int16]string{
	none: "ok", unknownTopicOrPartition: "UNKNOWN_TOPIC_OR_PARTITION", offsetMetadataTooLarge: "OFFSET_METADATA_TOO_LARGE",
	coordinatorLoadInProgress: "COORDINATOR_LOAD_IN_PROGRESS", coordinatorNotAvailable: "COORDINATOR_NOT_AVAILABLE",
	notCoordinator: "NOT_COORDINATOR", illegalGeneration: "ILLEGAL_GENERATION", inconsistentGroupProtocol: "INCONSISTENT_GROUP_PROTOCOL",
	invalidGroupID: "INVALID_GROUP_ID", unknownMemberID: "UNKNOWN_MEMBER_ID", invalidSessionTimeout: "INVALID_SESSION_TIMEOUT",
	rebalanceInProgress: "REBALANCE_IN_PROGRESS", nonEmptyGroup: "NON_EMPTY_GROUP", groupIDNotFound: "GROUP_ID_NOT_FOUND",
	memberIDRequired: "MEMBER_ID_REQUIRED", groupMaxSizeReached: "GROUP_MAX_SIZE_REACHED", fencedInstanceID: "FENCED_INSTANCE_ID",
	groupSubscribedToTopic: "GROUP_SUBSCRIBED_TO_TOPIC", unknownTopicID: "UNKNOWN_TOPIC_ID", unknownServerError: "UNKNOWN_SERVER_ERROR",
}

func codeName(c int16) string {
	if n, ok := codeNames[c]; ok {
		return n
	}
	return fmt.Sprint("code ", c)
}

func (k *talk) learn(who, id string) {
	if id == "" || k.current[who] == id {
		return
	}
	if old := k.current[who]; old != "" {
		for i, n := range k.ids {
			if n == who+"'" {
				k.ids[i] = who + "''"
			}
		}
		k.ids[old] = who + "'"
	}
	k.current[who], k.ids[id] = id, who
}

func (k *talk) name(id string) string {
	if n, ok := k.ids[id]; ok {
		return n
	}
	if id == "" {
		return "none"
	}
	return "?"
}

func ptr(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// render is a response in one line.
func (k *talk) render(who string, r kmsg.Response) string {
	switch r := r.(type) {
	case *kmsg.JoinGroupResponse:
		if r.ErrorCode != none && r.ErrorCode != memberIDRequired {
			return codeName(r.ErrorCode)
		}
		k.learn(who, r.MemberID)
		if r.ErrorCode == memberIDRequired {
			return codeName(r.ErrorCode)
		}
		k.gens[who], k.protos[who] = r.Generation, ptr(r.Protocol)
		out := fmt.Sprintf("ok gen=%d proto=%s leader=%s", r.Generation, ptr(r.Protocol), k.name(r.LeaderID))
		var ms []string
		for _, m := range r.Members {
			n := k.name(m.MemberID)
			if m.InstanceID != nil {
				n += "@" + *m.InstanceID
			}
			ms = append(ms, n)
		}
		sort.Strings(ms)
		if len(ms) > 0 {
			out += " members=" + strings.Join(ms, ",")
		}
		if r.SkipAssignment {
			out += " skip"
		}
		return out
	case *kmsg.SyncGroupResponse:
		if r.ErrorCode != none {
			return codeName(r.ErrorCode)
		}
		return fmt.Sprintf("ok %s", r.MemberAssignment)
	case *kmsg.HeartbeatResponse:
		return codeName(r.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		out := codeName(r.ErrorCode)
		for _, m := range r.Members {
			out += " " + k.name(m.MemberID)
			if m.InstanceID != nil {
				out += "@" + *m.InstanceID
			}
			out += "=" + codeName(m.ErrorCode)
		}
		return out
	case *kmsg.OffsetCommitResponse:
		var out []string
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%d=%s", p.Partition, codeName(p.ErrorCode)))
			}
		}
		sort.Strings(out)
		return strings.Join(out, " ")
	case *kmsg.OffsetFetchResponse:
		return renderFetch(r)
	case *kmsg.OffsetDeleteResponse:
		var out []string
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%s/%d=%s", t.Topic, p.Partition, codeName(p.ErrorCode)))
			}
		}
		sort.Strings(out)
		return strings.Join(append([]string{codeName(r.ErrorCode)}, out...), " ")
	case *kmsg.DeleteGroupsResponse:
		return codeName(r.Groups[0].ErrorCode)
	case *kmsg.ListGroupsResponse:
		for _, g := range r.Groups {
			if g.Group == k.group {
				return strings.TrimSpace(fmt.Sprintf("%s type=%s %s %s", codeName(r.ErrorCode), g.ProtocolType, g.GroupState, g.GroupType))
			}
		}
		return codeName(r.ErrorCode) + " not listed"
	case *kmsg.DescribeGroupsResponse:
		g := r.Groups[0]
		out := fmt.Sprintf("%s %s type=%s proto=%s", codeName(g.ErrorCode), g.State, g.ProtocolType, g.Protocol)
		var ms []string
		for _, m := range g.Members {
			n := k.name(m.MemberID)
			if m.InstanceID != nil {
				n += "@" + *m.InstanceID
			}
			ms = append(ms, fmt.Sprintf("%s:%d:%s", n, len(m.ProtocolMetadata), m.MemberAssignment))
		}
		sort.Strings(ms)
		return strings.Join(append([]string{out}, ms...), " ")
	}
	return fmt.Sprintf("%T", r)
}

func renderFetch(r *kmsg.OffsetFetchResponse) string {
	var out []string
	one := func(p int32, off int64, epoch int32, meta *string, code int16) {
		s := fmt.Sprintf("%d=%d", p, off)
		if epoch >= 0 {
			s += fmt.Sprintf("@%d", epoch)
		}
		if ptr(meta) != "" {
			s += ":" + ptr(meta)
		}
		if code != none {
			s += "!" + codeName(code)
		}
		out = append(out, s)
	}
	code := r.ErrorCode
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			one(p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode)
		}
	}
	for _, g := range r.Groups {
		code = g.ErrorCode
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				one(p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode)
			}
		}
	}
	sort.Strings(out)
	return strings.TrimSpace(codeName(code) + " " + strings.Join(out, " "))
}
