package log

import (
	"encoding/hex"
	"reflect"
	"testing"
)

// The bytes below are on people's disks: they change only with the format's number.
func TestBytesOnDisk(t *testing.T) {
	x := &index{}
	x.inMemory()
	x.writeHeader(7)
	x.put(0, slot{90, 0, 3, KindNoop})
	x.put(1, slot{161, 2, 3, KindData})
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"segment header":   {segmentHeader{baseIndex: 7, prevTerm: 3}.append(nil, 12), goldenSegment},
		"compacted header": {segmentHeader{baseIndex: 7, prevTerm: 3, compacted: true}.append(nil, 12), goldenCompacted},
		"map of entries":   {goldenEntryMap().encode(), goldenMap},
		"configuration":    {appendControl(nil, 12, 3, controlKind+int16(KindConfiguration), []byte("members")), goldenControl},
		"index":            {x.body.Load().mem[:48], goldenIndex},
		"time index":       {encodeTimes([]timeEntry{{1000, 0}, {2000, 9}}), goldenTimes},
		"aborted":          {AbortedTransaction{5, 100, 107, 90}.append(appendAbortedHeader(nil, 12)), goldenAborted},
		"checkpoint":       {frameCheckpoint(checkpointFormat, []byte(`{"index":3}`)), goldenCheckpoint},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

// goldenEntryMap is of eight entries of three terms, of which the second, third and sixth are there.
func goldenEntryMap() *entryMap {
	m := &entryMap{sum: 0x01020304}
	for n, term := range []uint64{3, 3, 3, 4, 300, 300, 300, 300} {
		m.terms.begin(n, term)
	}
	for _, n := range []int{1, 2, 5} {
		m.keep(n)
	}
	m.span = 8
	return m
}

func TestEntryMapTellsWhatWasPutIn(t *testing.T) {
	m, err := parseEntryMap(goldenEntryMap().encode(), 3)
	if err != nil || !reflect.DeepEqual(&m, goldenEntryMap()) {
		t.Fatalf("%+v, %v", m, err)
	}
	for n, want := range []uint64{3, 3, 3, 4, 300, 300, 300, 300} {
		if got := m.terms.at(n); got != want {
			t.Errorf("entry %d is of term %d, want %d", n, got, want)
		}
	}
	x := &index{}
	x.inMemory()
	for i := range 3 {
		x.put(i, slot{kind: KindData})
	}
	m.number(x)
	for i, want := range []int{1, 2, 5} {
		if got := x.ordinal(i); got != want || x.at(i).kind != KindData {
			t.Errorf("batch %d is entry %d, want %d", i, got, want)
		}
	}
	if _, err := parseEntryMap(goldenEntryMap().encode(), 4); err == nil {
		t.Error("a map of three batches was taken for one of four")
	}
}

func FuzzParseEntryMap(f *testing.F) {
	f.Add(goldenEntryMap().encode(), 3)
	f.Fuzz(func(t *testing.T, b []byte, batches int) {
		m, err := parseEntryMap(b, batches)
		if err != nil {
			return
		}
		again, err := parseEntryMap(m.encode(), batches)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v, again %+v, %v", m, again, err)
		}
		m.terms.at(int(m.span) - 1)
	})
}

const (
	goldenCompacted = "000000000000000c0000004e0000000302af9650540020ffffffff0000000000000000" +
		"0000000000000000ffffffffffffffffffffffffffff000000013800000008000000642400020000000000000007000000000000000300"
	goldenMap     = "0801020304030003030101a80201020201"
	goldenSegment = "000000000000000c0000004e0000000302be2d56290020ffffffff0000000000000000" +
		"0000000000000000ffffffffffffffffffffffffffff000000013800000008000000642400010000000000000007000000000000000300"
	goldenControl = "000000000000000c00000043000000030297b8a8680020ffffffff0000000000000000" +
		"0000000000000000ffffffffffffffffffffffffffff000000012200000008000000670e6d656d6265727300"
	goldenIndex   = "514c49580001000000000000000000070000005a000000000000000302000000000000a1000000020000000301000000"
	goldenTimes   = "514c544d0001000000000002532b854a00000000000003e80000000000000000000007d000000009"
	goldenAborted = "514c545800010000000000000000000c" +
		"00000000000000050000000000000064000000000000006b000000000000005aa57e59d4"
	goldenCheckpoint = "514c4350000100000000000b5589d0997b22696e646578223a337d"
)
