package broker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

var (
	requests          = metric("requests_total", "Requests that were read, by API.", "api")
	requestFailures   = metric("request_failures_total", "Requests whose handler failed, which closes the connection, by API.", "api")
	requestDuration   = metric("request_duration_seconds", "From a request's first byte to its answer, by API; Fetch waits for records meanwhile.", "api")
	bytesReceived     = metric("received_bytes_total", "Bytes that clients sent.")
	bytesSent         = metric("sent_bytes_total", "Bytes that clients were sent.")
	connections       = metric("connections", "Connections of clients that are open.")
	connsAccepted     = metric("connections_accepted_total", "Connections that were accepted.")
	connsRefused      = metric("connections_refused_total", "Connections that were closed at once, by the limit that was reached.", "limit")
	connsPaced        = metric("connections_paced_total", "Connections that had to wait for max.connection.creation.rate.")
	connsStuck        = metric("connections_stuck_total", "Connections closed because their client did not take an answer while others waited for memory.")
	badFrames         = metric("bad_frames_total", "Requests that made no sense and closed their connection.")
	writeErrors       = metric("write_errors_total", "Answers that could not be written.")
	requestsInFlight  = metric("requests_in_flight", "Requests that were read and are not answered yet.")
	requestMemory     = metric("request_memory_bytes", "Memory that requests hold, of the budget for frames or for what is decoded.", "of")
	requestMemoryMax  = metric("request_memory_limit_bytes", "The budgets of request_memory_bytes.", "of")
	connectionsMax    = metric("connections_limit", "The most connections: max.connections, or what the process has file descriptors for.")
	heavyAnswersN     = metric("heavy_answers", "Answers that grow with the cluster and exist now; there are 8 places.")
	requestMemoryWait = metric("request_memory_waits_total", "Requests that had to wait for memory of the budget.")
)

// requestMetrics are of clients' connections and requests.
var requestMetrics = area{
	[]*prometheus.Desc{
		requests, requestFailures, requestDuration, bytesReceived, bytesSent, connections, connsAccepted, connsRefused, connsPaced, connsStuck,
		badFrames, writeErrors, requestsInFlight, requestMemory, requestMemoryMax, requestMemoryWait, connectionsMax, heavyAnswersN,
	},
	func(b *Broker, out samples) {
		s := b.server.Stats()
		for key, a := range s.APIs {
			name := kmsg.NameForKey(key)
			out.counter(requests, float64(a.Requests), name)
			out.counter(requestFailures, float64(a.Errors), name)
			out.histogram(requestDuration, protocol.LatencyBounds[:], a.Within[:], a.Responses, a.Time, name)
		}
		out.counter(bytesReceived, float64(s.BytesIn))
		out.counter(bytesSent, float64(s.BytesOut))
		out.gauge(connections, float64(s.Connections))
		out.counter(connsAccepted, float64(s.Accepted))
		for why, n := range s.Refused {
			out.counter(connsRefused, float64(n), why.String())
		}
		out.counter(connsPaced, float64(s.Paced))
		out.counter(connsStuck, float64(s.Stuck))
		out.counter(badFrames, float64(s.BadFrames))
		out.counter(writeErrors, float64(s.WriteErrors))
		out.gauge(requestsInFlight, float64(s.Queued))
		out.gauge(requestMemory, float64(s.FrameBytes), "frames")
		out.gauge(requestMemory, float64(s.DecodedBytes), "decoded")
		out.gauge(requestMemoryMax, float64(s.FrameBudget), "frames")
		out.gauge(requestMemoryMax, float64(s.DecodeBudget), "decoded")
		out.gauge(connectionsMax, float64(s.MaxConnections))
		out.gauge(heavyAnswersN, float64(s.HeavyAnswers))
		out.counter(requestMemoryWait, float64(s.BudgetWaits))
	},
}
