"""The sender of Web Push (RFC 8030): rings and stops for browsers, and for UnifiedPush.

`subscription` is where a push goes, `encryption` seals it for that (RFC 8291), `vapid` says who
sends it (RFC 8292), `message` is what goes to a push service. Each service has its own connections
(`origins`), to public addresses alone; what answers mean is `policy`'s.
"""
