package config

// networkSettings bound connections, requests and memory.
var networkSettings = []Setting{
	{Name: "connections.max.idle.ms", Type: Long, Default: "600000",
		Doc: "A connection on which nothing happened for this long is closed."},
	{Name: "fetch.max.bytes", Type: Int, Default: "57671680", Valid: atLeast(1024),
		Doc: "The most bytes that one fetch is answered with, whatever the client asks for; a first batch that is larger is still sent whole."},
	{Name: "max.connections", Type: Int, Default: "2147483647", Valid: atLeast(0), Update: ClusterWide,
		Doc: "The most connections of clients at one time."},
	{Name: "max.connections.per.ip", Type: Int, Default: "2147483647", Valid: atLeast(0), Update: ClusterWide,
		Doc: "The most connections from one address at one time."},
	{Name: "max.incremental.fetch.session.cache.slots", Type: Int, Default: "1000", Valid: atLeast(0),
		Doc: "The most fetch sessions (KIP-227) that are kept; further fetches are served without one."},
	{Name: "queued.max.request.bytes", Type: Long, Default: "-1", Effect: Accepted,
		Why: "the broker bounds that memory by itself", Doc: "The most memory for requests that were received and are not yet handled."},
	{Name: "queued.max.requests", Type: Int, Default: "500", Valid: atLeast(1), Effect: Accepted,
		Why: "requests are bounded for each connection, and their memory for all", Doc: "How many requests may wait to be handled."},
	{Name: "socket.listen.backlog.size", Type: Int, Default: "50", Valid: atLeast(1), Effect: Accepted,
		Why: "the operating system's own bound is used", Doc: "How many connections may wait to be accepted."},
	{Name: "socket.receive.buffer.bytes", Type: Int, Default: "102400", Effect: Accepted,
		Why: "the operating system sizes the buffers by what each connection carries", Doc: "The receive buffer (SO_RCVBUF) of a client's connection."},
	{Name: "socket.request.max.bytes", Type: Int, Default: "104857600", Valid: atLeast(1),
		Doc: "The longest request that is read; a connection that announces a longer one is closed."},
	{Name: "socket.send.buffer.bytes", Type: Int, Default: "102400", Effect: Accepted,
		Why: "the operating system sizes the buffers by what each connection carries", Doc: "The send buffer (SO_SNDBUF) of a client's connection."},
}
