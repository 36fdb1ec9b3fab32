package broker

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	transactionsByState  = metric("transactions", "Transactional ids that this node coordinates, by state.", "state")
	transactionDecisions = metric("transaction_decisions_waiting", "Decisions about transactions that wait for the log.")
	transactionMarkers   = metric("transaction_markers_waiting", "Partitions of transactions that have ended which have no marker yet.")
)

// transactionMetrics are of the transactions that this node coordinates.
var transactionMetrics = area{
	[]*prometheus.Desc{transactionsByState, transactionDecisions, transactionMarkers},
	func(b *Broker, out samples) {
		states, waiting := b.txns.States()
		for state, n := range states {
			out.gauge(transactionsByState, float64(n), state.String())
		}
		out.gauge(transactionDecisions, float64(waiting))
		out.gauge(transactionMarkers, float64(b.markers.open.Load()))
	},
}
