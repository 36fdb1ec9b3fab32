package peers

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"reflect"
	"testing"

	"github.com/hashicorp/raft"
)

// requests are one of each kind.
func requests() []any {
	h := raft.RPCHeader{ProtocolVersion: 3, ID: []byte("1/d"), Addr: []byte("1")}
	return []any{
		&raft.AppendEntriesRequest{RPCHeader: h, Term: 7, PrevLogEntry: 300, PrevLogTerm: 6, LeaderCommitIndex: 299, Entries: []*raft.Log{
			{Index: 301, Term: 7, Type: raft.LogNoop}, {Index: 302, Term: 7, Type: raft.LogCommand, Data: []byte("data")},
		}},
		&raft.RequestVoteRequest{RPCHeader: h, Term: 7, LastLogIndex: 300, LastLogTerm: 6, LeadershipTransfer: true},
		&raft.RequestPreVoteRequest{RPCHeader: h, Term: 7, LastLogIndex: 300, LastLogTerm: 6},
		&raft.TimeoutNowRequest{RPCHeader: h},
	}
}

func responses() []any {
	h := raft.RPCHeader{ProtocolVersion: 3}
	return []any{
		&raft.AppendEntriesResponse{RPCHeader: h, Term: 7, LastLog: 300, Success: true, NoRetryBackoff: true},
		&raft.RequestVoteResponse{RPCHeader: h, Term: 7, Granted: true},
		&raft.RequestPreVoteResponse{RPCHeader: h, Term: 7, Granted: true},
		&raft.TimeoutNowResponse{RPCHeader: h},
	}
}

func TestMessagesHaveTheirDocumentedBytes(t *testing.T) {
	want := []string{
		"01" + "0303312f640131" + "07ac0206ab02" + "02" + "01ad020700" + "00ae020704" + "64617461",
		"02" + "0303312f640131" + "07ac0206" + "01",
		"03" + "0303312f640131" + "07ac0206",
		"04" + "0303312f640131",
		"0107ac020101", "020701", "030701", "04",
	}
	var got []string
	for _, r := range requests() {
		b, pieces, err := appendRequest(nil, nil, r)
		if err != nil || len(pieces) != 1 {
			t.Fatal(err, pieces)
		}
		got = append(got, hex.EncodeToString(b))
	}
	for _, r := range responses() {
		b, err := appendResponse(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, hex.EncodeToString(b))
	}
	info := Info{Member{1, "d", "h:1"}, "c", "i"}
	got = append(got,
		hex.EncodeToString(hello{1, 2, forLink, -1, info, 300}.encode()),
		hex.EncodeToString(welcome{refusal{refusedBusy, "no"}, 1, info, 300, []Member{{2, "e", "h:2"}}}.encode()),
		hex.EncodeToString(verdict{}.encode()),
		hex.EncodeToString(seal(append(newFrame(kindName, 1), 'g'), 0)),
	)
	want = append(want,
		"0102"+"01"+"00"+"02"+"0164"+"03683a31"+"0163"+"0169"+"ac02",
		"06026e6f"+"01"+"02"+"0164"+"03683a31"+"0163"+"0169"+"ac02"+"01"+"03"+"0165"+"03683a32",
		"0000",
		"00000002"+"01"+"67",
	)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %s, not %s", i, got[i], want[i])
		}
	}
}

func TestMessagesSurviveTheirEncoding(t *testing.T) {
	for _, r := range requests() {
		b, _, _ := appendRequest(nil, nil, r)
		if got, err := decodeRequest(b, &entryMemory{}); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%v %+v", err, got)
		}
		for i := range b {
			if got, err := decodeRequest(b[:i], &entryMemory{}); err == nil {
				t.Errorf("%d bytes of %T: %+v", i, r, got)
			}
		}
	}
	for _, r := range responses() {
		b, _ := appendResponse(nil, r)
		got := reflect.New(reflect.TypeOf(r).Elem()).Interface()
		if err := decodeResponse(b, got); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%v %+v", err, got)
		}
	}
}

func TestLargeEntriesAreNotCopied(t *testing.T) {
	r := entries(1, 0, 4, 100)
	r.Entries[1].Data = bytes.Repeat([]byte("x"), copyBelow)
	r.Entries[2].Data = bytes.Repeat([]byte("y"), copyBelow)
	head, pieces, err := appendRequest(make([]byte, 0, 10), nil, r)
	if err != nil || len(pieces) != 4 || &pieces[1][0] != &r.Entries[1].Data[0] || &pieces[2][0] != &r.Entries[2].Data[0] {
		t.Fatal(err, len(pieces), len(head))
	}
	got, err := decodeRequest(bytes.Join(pieces, nil), &entryMemory{})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range got.(*raft.AppendEntriesRequest).Entries {
		if !bytes.Equal(e.Data, r.Entries[i].Data) {
			t.Fatal("entry ", i)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, r := range requests() {
		b, _, _ := appendRequest(nil, nil, r)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRequest(b, &entryMemory{})
		if err != nil {
			return
		}
		_, pieces, err := appendRequest(nil, nil, r)
		if err != nil {
			t.Fatal(err)
		}
		if r2, err := decodeRequest(bytes.Join(pieces, nil), &entryMemory{}); err != nil || !reflect.DeepEqual(r, r2) {
			t.Fatalf("%v %+v %+v", err, r, r2)
		}
	})
}

func FuzzResponse(f *testing.F) {
	for _, r := range responses() {
		b, _ := appendResponse(nil, r)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range responses() {
			if decodeResponse(b, r) != nil {
				continue
			}
			again, err := appendResponse(nil, r)
			if err != nil || len(again) > len(b) {
				t.Fatal(err, again)
			}
		}
		d := decoder{b: b}
		_ = d.failure()
	})
}

func FuzzHandshake(f *testing.F) {
	info := Info{Member{1, "d", "h:1"}, "c", "i"}
	f.Add(hello{1, 2, forLink, -1, info, 300}.encode())
	f.Add(welcome{refusal{refusedBusy, "no"}, 1, info, 300, []Member{{2, "e", "h:2"}}}.encode())
	f.Add(verdict{refusal{refusedID, "no"}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		var h hello
		if h.decode(b) == nil && h.max >= minVersion && h.min <= maxVersion {
			var again hello
			if err := again.decode(h.encode()); err != nil || again != h {
				t.Fatal(err, again)
			}
		}
		var w welcome
		if w.decode(b) == nil {
			var again welcome
			if err := again.decode(w.encode()); err != nil || !reflect.DeepEqual(again, w) {
				t.Fatal(err, again)
			}
		}
		_ = new(verdict).decode(b)
		_ = expectMagic(bytes.NewReader(b))
		_, _ = readHandshake(bytes.NewReader(b))
	})
}

// FuzzFrames feeds a link with whatever may come after the handshake.
func FuzzFrames(f *testing.F) {
	add := func(frames ...[]byte) { f.Add(bytes.Join(frames, nil)) }
	name := seal(append(newFrame(kindName, 1), 'g'), 0)
	vote, _, _ := appendRequest(append(newFrame(kindRequest, 0), 1, 0), nil, requests()[1])
	beats := appendUint(appendHeader(append(newFrame(kindHeartbeats, 0), 1), header(1)), 1)
	commits := appendUint(appendHeader(newFrame(kindCommits, 0), header(1)), 1)
	add(name, seal(vote, 0))
	add(name, seal(append(beats, 0, 7), 0))
	add(name, seal(append(commits, 0, 7, 5, 7, 5), 0))
	add(seal(append(newFrame(kindNode, 0), 1, 3), 0))
	add(seal(append(newFrame(kindCall, 0), 1, 0, 50, 1, 'x'), 0))
	add(seal(append(newFrame(kindAnswer, 0), 1, 0, 'x'), 0))
	add(seal(append(newFrame(kindAlive, 0), 1, 1), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := New(Config{Node: 1, Identity: "d", Transport: &fake{}, Resolve: func(int32) string { return "" }, Limits: Limits{Frame: 1 << 16}, Logger: slog.New(slog.DiscardHandler)})
		defer p.Close()
		p.SetMembers([]int32{1, 2, 3})
		conn := &replay{from: bytes.NewReader(b), closed: make(chan struct{})}
		l := p.newLink(p.peer(2), conn, Info{Member: Member{ID: 2}}, 1<<16)
		if r := l.peer.install(l, false); r.code != accepted {
			t.Fatal(r)
		}
		l.done.Wait()
	})
}
