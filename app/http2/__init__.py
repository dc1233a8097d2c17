"""The HTTP/2 connection that senders share: many requests at once over few connections.

Knows nothing of who is spoken to. Read from the bottom: `frames` and `hpack` are bytes; a `Wire` is
a connection's frames, `Streams` its streams, each carrying an `Exchange` (a request that is owed
one end), a `Heartbeat` its life; a `Connection` puts these together; the `ConnectionManager` keeps
connections ready, and a `Pool` gives each exchange to one of them. What an answer means for its
connection is the `Listener`'s to say, which is the sender's own. Nothing here retries.

No module here knows one that stands above it: whoever is told something is a protocol.
"""
