package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/record"
	"quorumlog/txn"
)

func markersOf(producer int64, partitions ...int32) (units []*markerUnit) {
	job := &markerJob{e: txn.Ended{Marker: record.Marker{ProducerID: producer, ProducerEpoch: 3, CoordinatorEpoch: 7, Commit: true}, Version: txn.V2}}
	for _, p := range partitions {
		units = append(units, &markerUnit{job: job, tp: topicPartition{"t", p}})
	}
	return units
}

func partitionsOf(units []*markerUnit) string {
	s := ""
	for _, u := range units {
		s += fmt.Sprint(u.job.e.Marker.ProducerID, ":", u.tp.partition, " ")
	}
	return s
}

func TestAPartitionsMarkersGoOneAfterTheOther(t *testing.T) {
	q := &markerQueue{busy: map[topicPartition]bool{}}
	q.waiting = append(markersOf(1, 0, 1), markersOf(2, 1, 2)...)
	first := q.take()
	if got := partitionsOf(first); got != "1:0 1:1 2:2 " {
		t.Errorf("first: %s", got)
	}
	if got := partitionsOf(q.take()); got != "" {
		t.Errorf("while partition 1 is busy: %s", got)
	}
	for _, u := range first {
		delete(q.busy, u.tp)
	}
	if got := partitionsOf(q.take()); got != "2:1 " {
		t.Errorf("then: %s", got)
	}
	for n := range int32(markersAtOnce + 10) {
		q.waiting = append(q.waiting, markersOf(3, 10+n)...)
	}
	if n, left := len(q.take()), len(q.waiting); n != markersAtOnce || left != 10 {
		t.Errorf("%d at once, %d left", n, left)
	}
}

func TestTheAnswerToMarkersIsMatchedByProducerAndPartition(t *testing.T) {
	units := append(markersOf(1, 0, 1), markersOf(2, 1, 5)...)
	req := markersRequest(units)
	if len(req.Markers) != 2 || len(req.Markers[0].Topics[0].Partitions) != 2 || req.Markers[0].TransactionVersion != 2 || req.Markers[1].CoordinatorEpoch != 7 {
		t.Errorf("%+v", req.Markers)
	}
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	answer := func(producer int64, partition int32, err *kerr.Error) {
		m := kmsg.WriteTxnMarkersResponseMarker{ProducerID: producer}
		p := kmsg.WriteTxnMarkersResponseMarkerTopicPartition{Partition: partition}
		if err != nil {
			p.ErrorCode = err.Code
		}
		m.Topics = []kmsg.WriteTxnMarkersResponseMarkerTopic{{Topic: "t", Partitions: []kmsg.WriteTxnMarkersResponseMarkerTopicPartition{p}}}
		resp.Markers = append(resp.Markers, m)
	}
	answer(2, 1, kerr.NotLeaderForPartition)
	answer(1, 1, nil)
	answer(1, 0, nil)
	got := fmt.Sprint(markerCodes(units, resp))
	if want := fmt.Sprint([]int16{0, 0, kerr.NotLeaderForPartition.Code, kerr.CoordinatorNotAvailable.Code}); got != want {
		t.Errorf("codes %s, want %s", got, want)
	}
}
