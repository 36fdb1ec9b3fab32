package broker

import (
	"quorumlog/protocol"
)

// routes is the dispatch table before it is bound to a broker. Every api_*.go file adds its own
// row, so that ApiVersions, the version check and docs/apis.md derive from one place.
var routes []func(*Broker) protocol.API

// route registers an API; its result is there to be assigned at package level.
func route(bind func(*Broker) protocol.API) struct{} {
	routes = append(routes, bind)
	return struct{}{}
}

// Table returns the APIs that a broker serves, bound to b.
func (b *Broker) table() *protocol.Table {
	apis := make([]protocol.API, len(routes))
	for i, bind := range routes {
		apis[i] = bind(b)
	}
	return protocol.NewTable(apis...)
}

// APIs returns the table of what is served, for documentation: its handlers must not be called.
func APIs() *protocol.Table { return (&Broker{}).table() }
