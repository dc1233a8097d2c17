"""A fake push service of browsers: RFC 8030, which judges VAPID (RFC 8292) and opens what it gets.

Beside the fake Apple and the fake Google, in the same process, with the same faults and the same
lists. It has the subscriber's private key, as no real one does: what arrives is listed as a browser
would be given it, and what no browser could open is refused.
"""
